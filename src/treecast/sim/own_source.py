"""The model of ``own_source.rs`` of crates/core: frames of the machine from a bridge, under the node's own MAC.

Written along docs/protocol.md section 7, byte by byte and without care for speed; a differential test holds the two
against each other on random frames.
"""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.machine_commands import SetBridgeMac

FIRST_OPTION = {133: 8, 135: 24, 136: 24}
"""By the type of a message of Neighbor Discovery, counted from its start."""


def own_mac(node: NodeIndex) -> bytes:
    """The MAC of a node's own interface."""
    return b"\x02\x54" + node.to_bytes(4, "big")


def under_own_mac(node: NodeIndex, frame: bytes, command: SetBridgeMac | None) -> bytes:
    """The frame as it leaves the machine's TAP."""
    if command is None or command.mac is None or frame[6:12] != command.mac.packed:
        return frame
    bridge, own = command.mac.packed, own_mac(node)
    packed = {address.packed for address in command.addresses}
    ethertype, data = frame[12:14], frame[14:]
    match ethertype:
        case b"\x08\x00" if data[12:16] in packed and data[9] != 2:
            pass
        case b"\x08\x06" if data[14:18] in packed:
            data = data[:8] + (own if data[8:14] == bridge else data[8:14]) + data[14:]
        case b"\x86\xdd" if not _is_mld(data) and (data[8:24] in packed or _advertised(data) in packed):
            data = data[:40] + _with_options(data[40:], bridge, own) if data[6] == 58 else data
        case _:
            return frame
    return frame[:6] + own + ethertype + data


def _is_mld(data: bytes) -> bool:
    """Behind hop-by-hop options."""
    message = data[48 + data[41] * 8 :] if len(data) > 41 else b""
    return data[6:7] == b"\0" and data[40:41] == b"\x3a" and message[:1] in {b"\x82", b"\x83", b"\x84", b"\x8f"}


def _advertised(data: bytes) -> bytes:
    return data[48:64] if data[6:7] == b"\x3a" and data[40:41] == b"\x88" else b""


def _with_options(message: bytes, bridge: bytes, own: bytes) -> bytes:
    at = FIRST_OPTION.get(message[0]) if message else None
    while at is not None and at + 2 <= len(message) and message[at + 1]:
        if message[at] in {1, 2} and message[at + 2 : at + 8] == bridge:
            checksum = _updated(int.from_bytes(message[2:4], "big"), bridge, own).to_bytes(2, "big")
            message = message[:2] + checksum + message[4 : at + 2] + own + message[at + 8 :]
        at += message[at + 1] * 8
    return message


def _updated(checksum: int, before: bytes, after: bytes) -> int:
    """RFC 1624, equation 3."""
    total = checksum ^ 0xFFFF
    for at in range(0, len(before), 2):
        total += (int.from_bytes(before[at : at + 2], "big") ^ 0xFFFF) + int.from_bytes(after[at : at + 2], "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
