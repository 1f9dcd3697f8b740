"""The network file: what every member knows of its network, and the rules for names and prefixes.

JSON: ``{"format": 1, "name": ..., "id": hex, "ipv4": prefix, "ipv6": prefix, "ca_public_key": hex, "key": hex}``.
The key is secret: who has it is answered by the network's nodes (docs/protocol.md section 3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Literal

import msgspec

from treecast.base.errors import MalformedError, OperatorError
from treecast.base.ids import NetworkId
from treecast.identity.ids import KEY_BYTES, derive_network_id, network_key_fingerprint

NETWORK_MALFORMED = "network_malformed"
NETWORK_KEY_MISSING = "network_key_missing"
MAX_NETWORK_FILE_BYTES = 4096
DEFAULT_IPV4_PREFIX = "10.77.0.0/16"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # a label of RFC 1123 section 2.1, in lower case

_IPV4_REFUSED = tuple(
    (IPv4Network(prefix), what)
    for prefix, what in (
        ("0.0.0.0/8", "this-network addresses (RFC 1122)"),
        ("127.0.0.0/8", "loopback addresses"),
        ("169.254.0.0/16", "link-local addresses"),
        ("224.0.0.0/4", "multicast addresses"),
        ("240.0.0.0/4", "reserved addresses"),
    )
)
_IPV6_ALLOWED = (IPv6Network("fc00::/7"), IPv6Network("2000::/3"))  # RFC 4193; RFC 4291 section 2.4


class _NetworkFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    name: str
    id: str
    ipv4: str
    ipv6: str
    ca_public_key: str
    key: str = ""


_decode = msgspec.json.Decoder(_NetworkFile).decode


@dataclass(frozen=True, slots=True)
class Network:
    """One overlay. ``ca_public_key`` is Ed25519, 32 bytes; ``key``: 32 secret random bytes that all members hold."""

    name: str
    ca_public_key: bytes
    ipv4: IPv4Network
    ipv6: IPv6Network
    key: bytes = field(repr=False)

    @property
    def id(self) -> NetworkId:
        return derive_network_id(self.ca_public_key)

    @property
    def key_fingerprint(self) -> str:
        return network_key_fingerprint(self.key)

    @classmethod
    def decode(cls, data: bytes) -> Network:
        """A network file. MalformedError: ``network_key_missing`` for one made before networks had a key,
        ``network_malformed`` when it is none or contradicts itself.
        """
        if len(data) > MAX_NETWORK_FILE_BYTES:
            raise MalformedError(NETWORK_MALFORMED)
        try:
            file = _decode(data)
            network = cls(
                name=require_name(file.name, "network"),
                ca_public_key=bytes.fromhex(file.ca_public_key),
                ipv4=parse_ipv4_prefix(file.ipv4),
                ipv6=parse_ipv6_prefix(file.ipv6),
                key=bytes.fromhex(file.key),
            )
        except (msgspec.DecodeError, ValueError, OperatorError) as error:
            raise MalformedError(NETWORK_MALFORMED) from error
        if len(network.ca_public_key) != KEY_BYTES or file.id != str(network.id):
            raise MalformedError(NETWORK_MALFORMED)
        if not file.key:
            raise MalformedError(NETWORK_KEY_MISSING)
        if len(network.key) != KEY_BYTES:
            raise MalformedError(NETWORK_MALFORMED)
        return network

    def encode(self) -> bytes:
        """The inverse of ``decode``."""
        prefixes = str(self.ipv4), str(self.ipv6)
        file = _NetworkFile(1, self.name, str(self.id), *prefixes, self.ca_public_key.hex(), self.key.hex())
        return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def new_network(name: str, ipv4: str, ipv6: str | None, ca_public_key: bytes, key: bytes) -> Network:
    """The network as the operator wants it, or OperatorError. No IPv6 prefix: one of its own. ``key``: random bytes."""
    return Network(
        name=require_name(name, "network"),
        ca_public_key=ca_public_key,
        ipv4=parse_ipv4_prefix(ipv4),
        ipv6=parse_ipv6_prefix(ipv6) if ipv6 is not None else unique_local_prefix(derive_network_id(ca_public_key)),
        key=key,
    )


def unique_local_prefix(network_id: NetworkId) -> IPv6Network:
    """``fd``, then 7 bytes of the network id as global id and subnet id (RFC 4193 section 3.1): a /64."""
    return IPv6Network((b"\xfd" + network_id[:7] + bytes(8), 64))


def require_name(name: str, what: str) -> str:
    """``name`` if it may name a ``what``; OperatorError otherwise."""
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"{name!r} cannot be the name of a {what}: use 1 to 63 lower-case letters, digits and hyphens, "
            "with a letter or digit at both ends"
        )
    return name


def parse_ipv4_prefix(text: str) -> IPv4Network:
    """A prefix that hosts can have addresses of; OperatorError otherwise."""
    try:
        prefix = IPv4Network(text, strict=False)
    except ValueError:
        raise OperatorError(f"{text!r} is not an IPv4 prefix: give one like {DEFAULT_IPV4_PREFIX}") from None
    if "/" not in text or not 8 <= prefix.prefixlen <= 30:
        raise OperatorError(f"the IPv4 prefix {text!r} must have a length from /8 to /30, like {DEFAULT_IPV4_PREFIX}")
    _refuse_host_bits(text, prefix)
    for refused, what in _IPV4_REFUSED:
        if prefix.overlaps(refused):
            raise OperatorError(f"{prefix} holds {what}: give a private prefix like {DEFAULT_IPV4_PREFIX}")
    return prefix


def parse_ipv6_prefix(text: str) -> IPv6Network:
    """A unicast /64; OperatorError otherwise."""
    try:
        prefix = IPv6Network(text, strict=False)
    except ValueError:
        raise OperatorError(f"{text!r} is not an IPv6 prefix: give one like fd00:1:2:3::/64") from None
    if "%" in text or prefix.prefixlen != 64:  # a scope (RFC 4007 section 11) is of one machine only
        raise OperatorError(f"the IPv6 prefix {text!r} must be a /64 without a scope, like fd00:1:2:3::/64")
    _refuse_host_bits(text, prefix)
    if not any(prefix.subnet_of(allowed) for allowed in _IPV6_ALLOWED):
        raise OperatorError(f"{prefix} is neither unique local nor global unicast: give one like fd00:1:2:3::/64")
    return prefix


def _refuse_host_bits(text: str, prefix: IPv4Network | IPv6Network) -> None:
    if ip_address(text.partition("/")[0]) != prefix.network_address:
        raise OperatorError(f"{text!r} has bits set after its prefix: did you mean {prefix}?")
