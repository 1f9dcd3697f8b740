"""Written records are read back; one that was altered by one bit never verifies."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.identity.samples import CA_KEY, CERTIFICATE, KEYS, NETWORK, NOW_S, authority
from treecast.base.errors import OperatorError
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.limits import MAX_CERTIFICATE_BYTES
from treecast.identity.certificate import (
    MAX_TIME_S,
    Certificate,
    CertificateContent,
    CertificateError,
    Extension,
    issue,
)
from treecast.identity.keys import NodeKeys, parse_node_keys, sign, verify
from treecast.identity.network import Network
from treecast.identity.node import NodeRequest
from treecast.identity.registry import EMPTY_REGISTRY, Registry
from treecast.identity.rights import Rights, Role

_KEYS = st.binary(min_size=32, max_size=32)
_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
_PREFIXES = st.builds(
    lambda length, host: IPv4Network((0xE << 28 | host, length), False), st.integers(4, 32), st.integers(0, 2**28 - 1)
) | st.builds(
    lambda length, host: IPv6Network((0xFF << 120 | host, length), False),
    st.integers(8, 128),
    st.integers(0, 2**120 - 1),
)
_GROUPS = st.none() | st.lists(_PREFIXES, max_size=8).map(tuple)
_CLAIMS = st.builds(
    lambda claims, times, *rest: CertificateContent(*claims, *sorted(times), *rest),
    st.tuples(
        st.builds(NetworkId, st.binary(min_size=16, max_size=16)),
        st.builds(NodeIndex, st.integers(1, 0xFFFFFFFF)),
        _NAMES,
        _KEYS,
        _KEYS,
        st.none() | st.builds(IPv4Interface, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32))),
        st.none() | st.builds(IPv6Interface, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128))),
    ),
    st.tuples(st.integers(0, MAX_TIME_S), st.integers(0, MAX_TIME_S)),
    st.integers(0, 2**63 - 1),
    st.builds(
        Rights,
        st.builds(Role, st.integers(0, 2**63 - 1)),
        _GROUPS,
        _GROUPS,
        *(st.integers(0, 2**32 - 1) for _ in range(3)),
    ),
    st.lists(st.builds(Extension, st.integers(0, 2**32 - 1), st.booleans(), st.binary(max_size=8)), max_size=4).map(
        tuple
    ),
)


@given(_CLAIMS)
def test_a_certificate_is_read_back_as_it_was_issued(claims: CertificateContent) -> None:
    certificate = issue(CA_KEY, claims)
    assert Certificate.decode(certificate.encode()) == certificate
    assert len(certificate.encode()) <= MAX_CERTIFICATE_BYTES
    assert CertificateContent(*(getattr(certificate, field) for field in CertificateContent.__slots__)) == claims


def _accepted(data: bytes) -> bool:
    try:
        Certificate.decode(data).verify(CA_KEY.public, NOW_S)
    except CertificateError:
        return False
    return True


def test_a_certificate_with_any_one_bit_flipped_is_refused() -> None:
    data = CERTIFICATE.encode()
    assert _accepted(data)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not _accepted(bytes(flipped)), f"bit {bit}"


@given(st.data())
def test_a_certificate_with_bytes_replaced_cut_or_added_is_refused(data: st.DataObject) -> None:
    whole = CERTIFICATE.encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    altered = whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:]
    assert _accepted(altered) == (altered == whole)


@given(_KEYS, _KEYS)
def test_node_keys_are_read_back_as_they_were_written(static_seed: bytes, signing_seed: bytes) -> None:
    keys = NodeKeys.from_seeds(static_seed, signing_seed)
    read = parse_node_keys(keys.pem())
    assert (read.static, read.signing.public) == (keys.static, keys.signing.public)


@given(st.binary(max_size=40), st.binary(max_size=200), st.integers(0, 511))
def test_a_signature_verifies_and_with_one_bit_flipped_does_not(context: bytes, body: bytes, bit: int) -> None:
    signature = bytearray(sign(KEYS.signing, context, body))
    assert verify(KEYS.signing.public, context, body, bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(KEYS.signing.public, context, body, bytes(signature))


_KEYS = st.binary(min_size=32, max_size=32)


@given(_NAMES, st.integers(8, 30), st.integers(0, 2**24 - 1), st.integers(0, 2**56 - 1), _KEYS)
def test_a_network_file_is_read_back_as_it_was_written(
    name: str, length: int, host: int, site: int, key: bytes
) -> None:
    ipv4 = IPv4Network((10 << 24 | host, length), strict=False)
    ipv6 = IPv6Network((0xFD << 120 | site << 64, 64))
    network = Network(name, CA_KEY.public, ipv4, ipv6, key)
    assert Network.decode(network.encode()) == network


_REQUESTS = st.builds(
    NodeRequest,
    _NAMES,
    st.none() | st.integers(0, 40).map(lambda host: NETWORK.ipv4.network_address + host),
    st.none() | st.integers(0, 40).map(lambda host: NETWORK.ipv6.network_address + host),
    st.integers(1, 36_500),
)


@given(st.lists(st.tuples(_REQUESTS, _KEYS, _KEYS), max_size=20))
def test_whatever_is_asked_for_nothing_is_given_out_twice(wanted: list[tuple[NodeRequest, bytes, bytes]]) -> None:
    registry = EMPTY_REGISTRY
    for request, static_seed, signing_seed in wanted:
        try:
            identity, after = authority(registry).admit(request, NodeKeys.from_seeds(static_seed, signing_seed), NOW_S)
        except OperatorError:
            continue
        new = after.nodes[-1]
        assert after.nodes[:-1] == registry.nodes
        for before in registry.nodes:
            assert new.index > before.index
            assert not {new.name, new.ipv4, new.ipv6} & {before.name, before.ipv4, before.ipv6}
        assert new.ipv4 in NETWORK.ipv4
        assert new.ipv4 not in (NETWORK.ipv4.network_address, NETWORK.ipv4.broadcast_address)
        assert new.ipv6 in NETWORK.ipv6
        identity.certificate.verify(NETWORK.ca_public_key, NOW_S)
        registry = after
    if len({node.node_id for node in registry.nodes}) == len(registry.nodes):
        assert Registry.decode(registry.encode()) == registry
