"""GROUP PREFIX: a node wants all sources of all groups of a prefix. Format: ``docs/protocol.md`` section 7."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base.errors import MalformedError
from treecast.base.flows import PrefixKey, is_routed_prefix
from treecast.wire.advertised_groups import unpacked


class GroupPrefixContent(msgspec.Struct, frozen=True, array_like=True):
    """Says that a node wants all sources of all groups of the prefix. ``flags``: none is defined."""

    flags: Annotated[int, Meta(ge=0, le=255)] = 0

    def __str__(self) -> str:
        return f"GROUP_PREFIX content {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        return f"flags {self.flags}"


def group_prefix_key(key: PrefixKey) -> bytes:
    vlan, prefix = key
    return vlan.to_bytes(2, "big") + bytes((prefix.prefixlen,)) + prefix.network_address.packed


def parse_group_prefix_key(key: bytes) -> PrefixKey:
    """MalformedError("advertisement_malformed") unless it names a prefix of groups that routes may lead to."""
    first = unpacked(key[3:])
    try:
        prefix = ip_network((first, key[2]))
    except ValueError as error:
        raise MalformedError("advertisement_malformed") from error
    if not is_routed_prefix(prefix):
        raise MalformedError("advertisement_malformed")
    return int.from_bytes(key[:2], "big"), prefix
