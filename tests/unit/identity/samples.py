"""Identities with fixed keys, for tests."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

from treecast.base.ids import NodeIndex
from treecast.identity.certificate import MAX_TIME_S, Certificate, CertificateContent, issue
from treecast.identity.ids import derive_network_id
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network, unique_local_prefix
from treecast.identity.node import Authority
from treecast.identity.registry import EMPTY_REGISTRY, Registry
from treecast.identity.rights import Rights, Role

CA_KEY = SigningKey(b"\x01" * 32)
OTHER_CA_KEY = SigningKey(b"\x02" * 32)
KEYS = NodeKeys.from_seeds(b"\x03" * 32, b"\x04" * 32)
OTHER_KEYS = NodeKeys.from_seeds(b"\x05" * 32, b"\x06" * 32)
NETWORK = Network(
    "lab",
    CA_KEY.public,
    IPv4Network("10.77.0.0/16"),
    unique_local_prefix(derive_network_id(CA_KEY.public)),
    b"\x07" * 32,
)
NOT_BEFORE_S = 1_700_000_000
NOT_AFTER_S = 1_800_000_000
NOW_S = 1_750_000_000.5

CLAIMS = CertificateContent(
    network_id=NETWORK.id,
    node_index=NodeIndex(7),
    name="alice",
    static_key=KEYS.static.public,
    signing_key=KEYS.signing.public,
    ipv4=IPv4Interface("10.77.0.7/16"),
    ipv6=IPv6Interface((NETWORK.ipv6.network_address + 7, 64)),
    not_before_s=NOT_BEFORE_S,
    not_after_s=NOT_AFTER_S,
    serial=12,
)
LONGEST = replace(
    CLAIMS,
    node_index=NodeIndex(0xFFFF_FFFF),
    name="a" * 63,
    ipv6=IPv6Interface("fd00::1/128"),
    not_before_s=MAX_TIME_S,
    not_after_s=MAX_TIME_S,
    serial=2**63 - 1,
    rights=Rights(Role(2**63 - 1), hosts=2**32 - 1, groups=2**32 - 1, area=2**32 - 1),
)
"""No claims without prefixes of groups and extensions make a longer certificate."""
CERTIFICATE: Certificate = issue(CA_KEY, CLAIMS)


def authority(registry: Registry = EMPTY_REGISTRY) -> Authority:
    return Authority(NETWORK, CA_KEY, registry)
