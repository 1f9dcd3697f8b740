"""The model of ``frame_source.rs`` of crates/core: which frames a node may send, from where and to which groups.

Written along docs/dataplane.md, byte by byte and without care for speed; a differential test holds the two against
each other on random frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from treecast.base.addresses import IPAddress
from treecast.base.commands import CertifyNode
from treecast.base.ids import NodeIndex
from treecast.sim.frames import MAX_EXTENSION_HEADERS, never_crosses

TAGS = (b"\x81\x00", b"\x88\xa8")


def why_refused(node: NodeIndex, frame: bytes, certified: Mapping[NodeIndex, CertifyNode]) -> str | None:
    """The reason for which a frame of this node is dropped, None for a right one."""
    if never_crosses(frame):
        return "frame_never_crosses"
    if not _may_be_of(node, frame, certified):
        return "source_of_another_node"
    group = routed_group(frame)
    return None if group is None or permits(node, group, certified) else "frame_not_permitted"


def permits(node: NodeIndex, group: IPAddress, certified: Mapping[NodeIndex, CertifyNode]) -> bool:
    """Whether the node may send to this group, which is none of link-local scope."""
    own = certified.get(node)
    send_to = own.send_to if own else None
    return send_to is None or any(group in prefix for prefix in send_to)


def routed_group(frame: bytes) -> IPAddress | None:
    """The group that an IP packet is for, but for those of link-local scope."""
    ethertype, data = _behind_tags(frame)
    match ethertype:
        case b"\x08\x00" if len(data) >= 20 and data[16:19] != bytes((224, 0, 0)):
            destination: IPAddress = ip_address(data[16:20])
        case b"\x86\xdd" if len(data) >= 40 and data[25] & 0x0F > 2:
            destination = ip_address(data[24:40])
        case _:
            return None
    return destination if destination.is_multicast else None


def _may_be_of(node: NodeIndex, frame: bytes, certified: Mapping[NodeIndex, CertifyNode]) -> bool:
    mac, own = frame[6:12], certified.get(node)
    of_a_node = mac[:2] == b"\x02\x54"
    if of_a_node and int.from_bytes(mac[2:], "big") != node:
        return False
    if not of_a_node and not (own and own.bridge):
        return False
    spoken_for = _spoken_for(frame)
    if spoken_for is None:
        return False
    if own and not own.bridge and not all(at in own.addresses or at.is_unspecified for at in _bound(frame)):
        return False
    return all(_may_speak_for(node, address, certified, of_a_host=not of_a_node) for address in spoken_for)


def _may_speak_for(
    node: NodeIndex, address: IPAddress, certified: Mapping[NodeIndex, CertifyNode], *, of_a_host: bool
) -> bool:
    owners = [owner for owner, given in certified.items() if address in given.addresses]
    return not owners or node in owners or (of_a_host and all(certified[owner].carried for owner in owners))


def _spoken_for(frame: bytes) -> list[IPAddress] | None:
    """The addresses that the frame is from, or advertises; None where that is hidden."""
    ethertype, data = _behind_tags(frame)
    match ethertype:
        case b"\x08\x00":
            return [ip_address(data[12:16])] if len(data) >= 16 else []
        case b"\x08\x06":
            return [ip_address(data[14:18])] if len(data) >= 18 else []
        case b"\x86\xdd" if len(data) >= 24:
            target = _advertised(data)
            return None if target is None else [ip_address(data[8:24]), *target]
    return []


def _bound(frame: bytes) -> list[IPAddress]:
    """The addresses that receivers of the frame hold to be at its source MAC."""
    ethertype, data = _behind_tags(frame)
    match ethertype:
        case b"\x08\x06":
            return [ip_address(data[14:18])] if len(data) >= 18 else []
        case b"\x86\xdd":
            message = _neighbour_message(data) or b""
            if message[:1] == b"\x88" and len(message) >= 24:
                return [ip_address(message[8:24])]
            return [ip_address(data[8:24])] if message[:1] in (b"\x85", b"\x87") else []
    return []


def _behind_tags(frame: bytes) -> tuple[bytes, bytes]:
    """EtherType, and what follows it."""
    start = 12
    while frame[start : start + 2] in TAGS:
        start += 4
    return frame[start : start + 2], frame[start + 2 :]


def _advertised(data: bytes) -> list[IPAddress] | None:
    """The target of a Neighbor Advertisement; None where one could be behind headers that cannot be passed."""
    message = _neighbour_message(data)
    if message is None:
        return None
    return [ip_address(message[8:24])] if message[:1] == b"\x88" and len(message) >= 24 else []


def _neighbour_message(data: bytes) -> bytes | None:
    """An ICMPv6 message to the end of the frame; empty for anything else, None where one could be behind headers that
    cannot be passed.
    """
    end = 40 + int.from_bytes(data[4:6], "big")
    if len(data) < 40 or data[0] >> 4 != 6 or end > len(data):
        return b""
    protocol, at = data[6], 40
    for _ in range(MAX_EXTENSION_HEADERS + 1):
        if protocol not in {0, 43, 44, 51, 60}:
            break
        if at + 4 > len(data):
            return None
        length = {44: 8, 51: data[at + 1] * 4 + 8}.get(protocol, data[at + 1] * 8 + 8)
        if at + length > end:
            return None
        is_later = protocol == 44 and int.from_bytes(data[at + 2 : at + 4], "big") & 0xFFF8
        protocol, at = data[at], at + length
        if is_later:
            return b""
    else:
        return None
    if protocol == 59 and at > 40:
        return None
    return data[at:] if protocol == 58 else b""
