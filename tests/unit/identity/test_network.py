"""The network file, names and prefixes."""

from __future__ import annotations

from ipaddress import IPv6Network

import msgspec
import pytest

from tests.unit.identity.samples import CA_KEY, NETWORK, OTHER_CA_KEY
from treecast.base.errors import MalformedError, OperatorError
from treecast.identity.network import (
    NETWORK_KEY_MISSING,
    Network,
    new_network,
    parse_ipv4_prefix,
    parse_ipv6_prefix,
    require_name,
)

KEY = b"\x07" * 32


def test_a_network_file_is_read_back_as_it_was_written() -> None:
    assert Network.decode(NETWORK.encode()) == NETWORK


def test_the_default_ipv6_prefix_is_unique_local_and_made_of_the_network_id() -> None:
    network = new_network("lab", "10.77.0.0/16", None, CA_KEY.public, KEY)
    assert network.ipv6.prefixlen == 64
    assert network.ipv6.subnet_of(IPv6Network("fd00::/8"))
    assert network.ipv6.network_address.packed[1:8] == network.id[:7]
    assert new_network("lab", "10.77.0.0/16", None, OTHER_CA_KEY.public, KEY).ipv6 != network.ipv6


def test_a_network_file_without_a_key_is_named_and_no_key_shows_itself() -> None:
    with pytest.raises(MalformedError, match=NETWORK_KEY_MISSING):
        Network.decode(_with(key=""))
    assert (NETWORK.key.hex() in repr(NETWORK), repr(NETWORK.key) in repr(NETWORK)) == (False, False)


def _with(**changes: object) -> bytes:
    fields = msgspec.json.decode(NETWORK.encode(), type=dict[str, object])
    return msgspec.json.encode(fields | changes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        NETWORK.encode()[:-3],
        NETWORK.encode() + b"x",
        b"\xff" + NETWORK.encode(),
        NETWORK.encode() + b" " * 4096,
        b"[" * 4000,
        _with(format=2),
        _with(format="1"),
        _with(name="Lab"),
        _with(name=1),
        _with(more=1),
        _with(id="00" * 16),
        _with(ca_public_key=OTHER_CA_KEY.public.hex()),
        _with(ca_public_key="00"),
        _with(ca_public_key="zz" * 32),
        _with(key="00" * 31),
        _with(key="zz" * 32),
        _with(key=None),
        _with(ipv4="10.77.0.1/16"),
        _with(ipv6="ff00::/64"),
    ],
)
def test_what_is_no_network_file_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError, match="network_malformed"):
        Network.decode(data)


@pytest.mark.parametrize("name", ["a", "0", "a-b", "x" * 63, "42"])
def test_labels_are_names(name: str) -> None:
    assert require_name(name, "node") == name


@pytest.mark.parametrize("name", ["", "A", "a.b", "a_b", "-a", "a-", "x" * 64, "a/b", "..", "a b", "a\n", "ä", "\0"])
def test_other_words_are_no_names(name: str) -> None:
    with pytest.raises(OperatorError, match="cannot be the name of a node"):
        require_name(name, "node")


@pytest.mark.parametrize("text", ["10.77.0.0/16", "192.168.4.0/30", "10.0.0.0/8", "203.0.113.0/24"])
def test_unicast_ipv4_prefixes_are_taken(text: str) -> None:
    assert str(parse_ipv4_prefix(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not an IPv4 prefix"),
        ("lab", "is not an IPv4 prefix"),
        ("10.77.0.0/33", "is not an IPv4 prefix"),
        ("fd00::/64", "is not an IPv4 prefix"),
        ("10.77.0.0", "/8 to /30"),
        ("10.77.0.0/31", "/8 to /30"),
        ("10.77.0.0/7", "/8 to /30"),
        ("0.0.0.0/0", "/8 to /30"),
        ("10.77.0.1/16", r"did you mean 10\.77\.0\.0/16\?"),
        ("0.0.0.0/8", "this-network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/8", "multicast"),
        ("239.1.0.0/16", "multicast"),
        ("240.0.0.0/8", "reserved"),
        ("255.255.255.0/24", "reserved"),
    ],
)
def test_other_ipv4_prefixes_are_refused_with_the_reason(text: str, sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence):
        parse_ipv4_prefix(text)


@pytest.mark.parametrize("text", ["fd00:1:2:3::/64", "2001:db8:0:1::/64", "fc00::/64"])
def test_unicast_ipv6_prefixes_are_taken(text: str) -> None:
    assert str(parse_ipv6_prefix(text)) == text


def test_an_ipv6_prefix_may_be_written_in_another_form() -> None:
    assert str(parse_ipv6_prefix("FD00:0001:0002:0003:0000::/64")) == "fd00:1:2:3::/64"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not an IPv6 prefix"),
        ("10.77.0.0/16", "is not an IPv6 prefix"),
        ("fd00::%eth0/64", "without a scope"),
        ("fd00::/129", "is not an IPv6 prefix"),
        ("fd00::", "must be a /64"),
        ("fd00::/48", "must be a /64"),
        ("fd00::/65", "must be a /64"),
        ("fd00::1/64", "did you mean fd00::/64"),
        ("::/64", "neither unique local nor global"),
        ("fe80::/64", "neither unique local nor global"),
        ("ff02::/64", "neither unique local nor global"),
        ("64:ff9b::/64", "neither unique local nor global"),
    ],
)
def test_other_ipv6_prefixes_are_refused_with_the_reason(text: str, sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence):
        parse_ipv6_prefix(text)
