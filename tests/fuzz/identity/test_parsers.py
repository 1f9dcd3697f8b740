"""Random bytes into the parsers: a record that is written as it was read, or the parser's own error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.wire.mutations import SCALE
from tests.unit.identity.samples import CA_KEY, CLAIMS, KEYS, NETWORK
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate, Extension, issue
from treecast.identity.keys import parse_ca_key, parse_node_keys
from treecast.identity.network import Network
from treecast.identity.registry import Issued, Registry
from treecast.identity.rights import Rights, Role

_REGISTRY = Registry(
    (
        Issued(
            NodeIndex(1),
            "a",
            bytes(32),
            bytes(32),
            IPv4Address("10.77.0.1"),
            IPv6Address("fd00::1"),
            1,
            1_800_000_000,
            Rights(Role.BRIDGE, (IPv4Network("239.0.0.0/8"),)),
        ),
    ),
    1,
).encode()
_FULL = issue(
    CA_KEY,
    replace(
        CLAIMS,
        rights=Rights(Role.BRIDGE, (IPv4Network("239.0.0.0/8"),), (IPv6Network("ff3e::/32"),)),
        extensions=(Extension(1, True, b"value"),),
    ),
)

_PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "certificate_malformed": (Certificate.decode, _FULL.encode()),
    "network_malformed": (Network.decode, NETWORK.encode()),
    "registry_malformed": (Registry.decode, _REGISTRY),
    "key_malformed": (parse_node_keys, KEYS.pem()),
}


def _mutations(whole: bytes) -> st.SearchStrategy[bytes]:
    """``whole`` with some of its bytes changed, cut out, doubled or put in."""
    edit = st.tuples(st.integers(0, len(whole)), st.integers(0, 12), st.binary(max_size=12))

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        data = whole
        for position, removed, added in edits:
            data = data[:position] + added + data[position + removed :]
        return data

    return st.lists(edit, max_size=4).map(apply)


def _parses_or_names_its_error(reason: str, data: bytes) -> None:
    parse, _ = _PARSERS[reason]
    try:
        record = parse(data)
    except MalformedError as error:
        assert error.reason == reason
    else:
        if isinstance(record, Certificate):
            assert record.encode() == data
        if isinstance(record, Network | Registry):
            assert type(record).decode(record.encode()) == record


@pytest.mark.parametrize("reason", _PARSERS)
@settings(max_examples=500 * SCALE, deadline=None)
@given(data=st.data())
def test_mutated_files_give_a_record_or_the_named_error(reason: str, data: st.DataObject) -> None:
    _parses_or_names_its_error(reason, data.draw(_mutations(_PARSERS[reason][1])))


@pytest.mark.parametrize("reason", _PARSERS)
@settings(max_examples=250 * SCALE, deadline=None)
@given(data=st.binary(max_size=600))
def test_random_bytes_give_the_named_error(reason: str, data: bytes) -> None:
    _parses_or_names_its_error(reason, data)


@pytest.mark.parametrize("reason", _PARSERS)
@pytest.mark.parametrize("piece", [b"[", b'{"a":', b"\x91", b"\x81\xa1a", b"-----BEGIN PRIVATE KEY-----\n", b"9", b" "])
@pytest.mark.parametrize("length", [300, 4000, 100_000])
def test_deep_and_long_input_gives_the_named_error(reason: str, piece: bytes, length: int) -> None:
    for head in (b"", b'{"format":', b'{"nodes":', b'{"format":1,"nodes":[{"index":'):
        _parses_or_names_its_error(reason, head + piece * (length // len(piece)))


@settings(max_examples=200, deadline=None)
@given(data=_mutations(CA_KEY.pem()))
def test_mutated_ca_keys_give_a_key_or_the_named_error(data: bytes) -> None:
    try:
        parse_ca_key(data)
    except MalformedError as error:
        assert error.reason == "key_malformed"
