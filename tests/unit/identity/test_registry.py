"""The CA gives out indices and addresses, and none twice."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import msgspec
import pytest

from tests.unit.identity.samples import KEYS, NETWORK, NOW_S, OTHER_CA_KEY, OTHER_KEYS, authority
from treecast.base.errors import MalformedError, OperatorError
from treecast.base.ids import NodeIndex
from treecast.identity.keys import NodeKeys
from treecast.identity.node import Authority, NodeRequest
from treecast.identity.registry import EMPTY_REGISTRY, Issued, Registry, assign
from treecast.identity.rights import NO_ROLES, Rights, Role

_RIGHTS = Rights(Role.BRIDGE, (IPv4Network("239.0.0.0/8"), IPv6Network("ff3e::/32")), (), 1, 2, 3)


def _node(index: int, name: str, ipv4: str, ipv6: IPv6Address | None = None) -> Issued:
    return Issued(
        NodeIndex(index),
        name,
        index.to_bytes(32, "big"),
        index.to_bytes(32, "little"),
        IPv4Address(ipv4),
        ipv6 or NETWORK.ipv6.network_address + index,
        index,
        1_800_000_000,
        _RIGHTS if index == 2 else Rights(),
    )


_TWO = Registry((_node(1, "alice", "10.77.0.1"), _node(2, "bob", "10.77.0.3")), 5)


def test_a_registry_is_read_back_as_it_was_written() -> None:
    assert Registry.decode(_TWO.encode()) == _TWO
    assert Registry.decode(EMPTY_REGISTRY.encode()) == EMPTY_REGISTRY


def test_the_first_node_gets_index_one_and_the_first_addresses() -> None:
    assigned = assign(NETWORK, EMPTY_REGISTRY, "alice", None, None)
    assert (assigned.index, str(assigned.ipv4)) == (1, "10.77.0.1")
    assert assigned.ipv6 == NETWORK.ipv6.network_address + 1


def test_the_next_node_gets_the_next_index_and_the_lowest_free_address() -> None:
    assigned = assign(NETWORK, _TWO, "carol", None, None)
    assert (assigned.index, str(assigned.ipv4)) == (3, "10.77.0.2")
    assert assigned.ipv6 == NETWORK.ipv6.network_address + 3


def test_an_index_whose_ipv6_address_somebody_asked_for_is_passed_over() -> None:
    registry = Registry((_node(1, "alice", "10.77.0.1", NETWORK.ipv6.network_address + 2),), 1)
    assigned = assign(NETWORK, registry, "bob", None, None)
    assert (assigned.index, assigned.ipv6) == (3, NETWORK.ipv6.network_address + 3)


def test_addresses_asked_for_are_given() -> None:
    ipv6 = NETWORK.ipv6.network_address + 2**63
    assigned = assign(NETWORK, _TWO, "carol", IPv4Address("10.77.255.254"), ipv6)
    assert (assigned.index, str(assigned.ipv4), assigned.ipv6) == (3, "10.77.255.254", ipv6)


@pytest.mark.parametrize(
    ("name", "ipv4", "ipv6", "sentence"),
    [
        ("alice", None, None, "has a node alice already"),
        ("Carol", None, None, "cannot be the name of a node"),
        ("carol", "10.77.0.3", None, "10.77.0.3 is taken by node bob"),
        ("carol", None, NETWORK.ipv6.network_address + 1, "is taken by node alice"),
        ("carol", "10.78.0.1", None, "10.78.0.1 is not in the network's prefix 10.77.0.0/16"),
        ("carol", "10.77.0.0", None, "network or broadcast"),
        ("carol", "10.77.255.255", None, "network or broadcast"),
        ("carol", None, IPv6Address("fd00::1"), "is not in the network's prefix"),
        ("carol", None, NETWORK.ipv6.network_address, "anycast"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_reason(
    name: str, ipv4: str | None, ipv6: IPv6Address | None, sentence: str
) -> None:
    with pytest.raises(OperatorError, match=sentence):
        assign(NETWORK, _TWO, name, IPv4Address(ipv4) if ipv4 else None, ipv6)


def test_a_node_that_is_replaced_keeps_its_index_and_addresses() -> None:
    request = NodeRequest("alice", IPv4Address("10.77.0.9"), None, 2)
    first, registry = authority().admit(request, KEYS, NOW_S)
    ca = replace(authority(), registry=registry)
    second, registry = ca.admit(NodeRequest("alice", None, None, 9, replace=True), OTHER_KEYS, NOW_S + 86_400)
    was, now = first.certificate, second.certificate
    assert (now.node_index, now.ipv4, now.ipv6) == (was.node_index, was.ipv4, was.ipv6)
    assert now.static_key == OTHER_KEYS.static.public
    assert [(node.node_id, node.not_after_s) for node in registry.nodes] == [(second.node_id, now.not_after_s)]
    assert Registry.decode(registry.encode()) == registry


@pytest.mark.parametrize(
    ("name", "ipv4", "sentence"),
    [
        ("carol", None, "has no node carol: leave out --replace"),
        ("alice", "10.77.0.9", "node alice keeps its addresses"),
    ],
)
def test_what_cannot_be_replaced_is_refused_with_the_reason(name: str, ipv4: str | None, sentence: str) -> None:
    ca = replace(authority(), registry=_TWO)
    with pytest.raises(OperatorError, match=sentence):
        ca.admit(NodeRequest(name, IPv4Address(ipv4) if ipv4 else None, None, 1, replace=True), KEYS, NOW_S)


def test_a_prefix_of_two_hosts_is_full_after_two_nodes() -> None:
    ca = replace(authority(), network=replace(NETWORK, ipv4=IPv4Network("10.77.0.0/30")))
    for name in ("alice", "bob"):
        _, registry = ca.admit(NodeRequest(name, None, None, 1), KEYS if name == "alice" else OTHER_KEYS, NOW_S)
        ca = replace(ca, registry=registry)
    with pytest.raises(OperatorError, match=r"the prefix 10\.77\.0\.0/30 of network lab is full"):
        ca.admit(NodeRequest("carol", None, None, 1), NodeKeys.from_seeds(bytes(32), bytes(32)), NOW_S)


def test_a_network_is_full_when_its_registry_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treecast.identity.registry.MAX_REGISTERED_NODES", 2)
    with pytest.raises(OperatorError, match="network lab is full: it has 2 nodes"):
        assign(NETWORK, _TWO, "carol", None, None)


def test_the_last_index_is_the_last() -> None:
    with pytest.raises(OperatorError, match="last node index"):
        assign(NETWORK, Registry((_node(0xFFFFFFFF, "alice", "10.77.0.1"),), 0xFFFFFFFF), "bob", None, None)


def test_the_ca_admits_a_node_with_a_certificate_about_its_keys() -> None:
    identity, registry = authority().admit(NodeRequest("alice", None, None, 2), KEYS, NOW_S)
    certificate = identity.certificate
    certificate.verify(NETWORK.ca_public_key, NOW_S)
    assert (certificate.static_key, certificate.signing_key) == (KEYS.static.public, KEYS.signing.public)
    assert str(certificate.ipv4) == "10.77.0.1/16"
    assert certificate.not_before_s == int(NOW_S) - 3600
    assert certificate.not_after_s == int(NOW_S) + 2 * 86_400
    assert registry.nodes == (
        Issued(
            NodeIndex(1),
            "alice",
            KEYS.static.public,
            KEYS.signing.public,
            IPv4Address("10.77.0.1"),
            NETWORK.ipv6.network_address + 1,
            1,
            certificate.not_after_s,
            Rights(Role.RELAY),
        ),
    )


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_a_validity_out_of_range_is_refused(days: int) -> None:
    with pytest.raises(OperatorError, match="valid for 1 to 36500 days"):
        authority().admit(NodeRequest("alice", None, None, days), KEYS, NOW_S)


def test_a_ca_with_another_networks_key_is_none() -> None:
    with pytest.raises(OperatorError, match="is not that of network lab"):
        Authority(NETWORK, OTHER_CA_KEY, EMPTY_REGISTRY)


def test_each_certificate_has_a_serial_of_its_own_and_a_node_keeps_its_rights_unless_it_is_given_others() -> None:
    ca = authority()
    seeds = iter(range(10, 20))
    serials, roles = [], []
    for name, is_there, wanted in (
        ("alice", False, Role.BRIDGE),
        ("bob", False, None),
        ("alice", True, None),
        ("alice", True, NO_ROLES),
    ):
        keys = NodeKeys.from_seeds(bytes([next(seeds)] * 32), bytes([next(seeds)] * 32))
        identity, registry = ca.admit(NodeRequest(name, None, None, 1, is_there, wanted), keys, NOW_S)
        ca = replace(ca, registry=Registry.decode(registry.encode()))
        serials.append(identity.certificate.serial)
        roles.append(identity.certificate.rights.roles)
    assert serials == [1, 2, 3, 4]
    assert roles == [Role.BRIDGE, Role.RELAY, Role.BRIDGE, NO_ROLES]


def test_no_key_is_certified_for_two_nodes() -> None:
    _, registry = authority().admit(NodeRequest("alice", None, None, 1), KEYS, NOW_S)
    ca = replace(authority(), registry=registry)
    for keys in (NodeKeys(KEYS.static, OTHER_KEYS.signing), NodeKeys(OTHER_KEYS.static, KEYS.signing)):
        with pytest.raises(OperatorError, match="node alice has a key of these already"):
            ca.admit(NodeRequest("bob", None, None, 1), keys, NOW_S)


def test_no_certificate_is_issued_that_is_too_long() -> None:
    for count, is_issued in ((8, True), (16, False)):
        rights = Rights(send_to=(IPv6Network("ff3e::/32"),) * count, receive_from=(IPv6Network("ff3e::/32"),) * count)
        known = replace(_node(2, "bob", "10.77.0.3"), rights=rights)
        ca = replace(authority(), registry=Registry((known,), 2))
        request = NodeRequest("bob", None, None, 1, replace=True)
        if is_issued:
            assert ca.admit(request, KEYS, NOW_S)[0].certificate.rights == rights
            continue
        with pytest.raises(OperatorError, match="the certificate of bob would be longer than 768 bytes"):
            ca.admit(request, KEYS, NOW_S)


def _file(*nodes: dict[str, object], version: object = 1) -> bytes:
    return msgspec.json.encode({"format": version, "last_serial": 2, "nodes": list(nodes)})


_COLUMNS = ("index", "name", "static_key", "signing_key", "ipv4", "ipv6", "serial")
_ALICE: dict[str, object] = dict(
    zip(_COLUMNS, (1, "alice", "00" * 32, "01" * 32, "10.77.0.1", "fd00::1", 1), strict=True)
)
_BOB: dict[str, object] = dict(zip(_COLUMNS, (2, "bob", "02" * 32, "03" * 32, "10.77.0.2", "fd00::2", 2), strict=True))
for _entry in (_ALICE, _BOB):
    _entry["not_after_s"] = 1_800_000_000
    _entry |= {"roles": [], "send_to": None, "receive_from": [], "hosts": 1, "groups": 1, "area": 0}


def test_the_samples_of_damage_are_of_a_good_file() -> None:
    assert len(Registry.decode(_file(_ALICE, _BOB)).nodes) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        _file(version=2),
        _file(_ALICE)[:-1],
        _file(_ALICE | {"index": 0}),
        _file(_ALICE | {"index": 2**32}),
        _file(_ALICE | {"name": "A"}),
        _file(_ALICE | {"static_key": "00"}),
        _file(_ALICE | {"signing_key": "xy" * 32}),
        _file(_ALICE | {"serial": 3}),
        _file(_ALICE | {"serial": -1}),
        _file(_ALICE | {"roles": ["king"]}),
        _file(_ALICE | {"send_to": ["10.0.0.0/8"]}),
        _file(_ALICE | {"send_to": ["ff02::1%lo/128"]}),
        _file(_ALICE | {"receive_from": ["239.0.0.1/8"]}),
        _file(_ALICE | {"receive_from": ["239.0.0.0/8"] * 17}),
        _file(_ALICE | {"hosts": 2**32}),
        _file(_ALICE | {"ipv4": "10.77.0"}),
        _file(_ALICE | {"ipv6": "10.77.0.1"}),
        _file(_ALICE | {"ipv6": "fd00::1%lo"}),
        _file(_ALICE | {"more": 1}),
        *(_file(_ALICE, _BOB | {column: _ALICE[column]}) for column in _COLUMNS),
        _file(_ALICE | {"not_after_s": -1}),
        _file({name: value for name, value in _ALICE.items() if name != "not_after_s"}),
    ],
)
def test_what_is_no_registry_or_gives_out_something_twice_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError, match="registry_malformed"):
        Registry.decode(data)
