"""``bridge.json`` in a node's directory: the interfaces of its LANs, for its next start and for ``bridge remove``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters.files import PUBLIC_MODE, exclusive, explained, read_file, replace_file
from treecast.adapters.netdevice import index_of
from treecast.adapters.sysfs import alone_with_mac, called_now, has_mac
from treecast.base.errors import OperatorError
from treecast.base.keep_local import WORDS, KeepLocal, Word
from treecast.base.storm_control import LAN_LIMITS, StormLimits

BRIDGE_FILE = "bridge.json"
BRIDGE_LOCK_FILE = "bridge.lock"
MAX_RECORD_BYTES = 65_536

_Pps = Annotated[int, Meta(ge=1, le=10_000_000)]
_Interface = Annotated[str, Meta(min_length=1, max_length=15)]


class BridgeRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bridge of a node. ``mac``: the bridge's; ``addresses``, ``routes``: what it has of the TAP's;
    ``lan_addresses``, ``lan_routes``: the static ones of the interface when it was bridged; ``forced``: although a
    program configures it.
    """

    interface: str
    bridge: str
    mac: Annotated[str, Meta(pattern="^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]
    tap: str
    tap_mtu: int
    addresses: list[str]
    routes: list[str]
    broadcast_pps: _Pps | None = LAN_LIMITS.broadcast_pps
    multicast_pps: _Pps | None = LAN_LIMITS.multicast_pps
    unknown_unicast_pps: _Pps | None = LAN_LIMITS.unknown_unicast_pps
    forced: bool = False
    keep_local: tuple[Word, ...] = WORDS
    lan_addresses: list[str] = []
    lan_routes: list[str] = []

    def limits(self) -> StormLimits:
        return StormLimits(self.broadcast_pps, self.multicast_pps, self.unknown_unicast_pps)

    def kept(self) -> KeepLocal:
        return KeepLocal.of(self.keep_local)

    @property
    def interface_now(self) -> str:
        """The name that the interface has now: its bridge keeps it under any, and its MAC goes before its name."""
        return called_now(self.interface, self.bridge, self.mac)

    def is_of(self, interface: str) -> bool:
        """Whether the operator means what is bridged: by the name that it has now, or by the one that it had, which no
        other has.
        """
        return interface == self.interface_now or (interface == self.interface and not index_of(interface))


class PacketPortRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An interface that cannot be bridged, of which the node takes and gives multicast.

    ``mac``: when it was added; empty where that is not its alone (a VLAN's, a bridge's).
    """

    interface: _Interface
    multicast_pps: _Pps | None = None
    keep_local: tuple[Word, ...] = WORDS
    mac: Annotated[str, Meta(pattern="^(([0-9a-f]{2}:){5}[0-9a-f]{2})?$")] = ""

    def limits(self) -> StormLimits:
        return StormLimits(None, self.multicast_pps, None)

    def kept(self) -> KeepLocal:
        return KeepLocal.of(self.keep_local)

    @property
    def identity(self) -> str:
        """The identity by which it is known again under another name, too."""
        return f"packet {self.mac or self.interface}"

    def interfaces_now(self) -> list[str]:
        """The interface: the one that has its MAC, or, while none has, the one of its name; of several, with which it
        may be meant, all.
        """
        if not self.mac or has_mac(self.interface, self.mac):
            return [self.interface] if index_of(self.interface) else []
        return alone_with_mac(self.mac) or ([self.interface] if index_of(self.interface) else [])

    def claim(self, name: str) -> int:
        """How sure it is that an interface is this one: 3 by its name and all that is known of it, 2 by its MAC only, 1
        by its name only, 0 not.
        """
        named, known = name == self.interface, bool(self.mac) and has_mac(name, self.mac)
        return (3 if known or not self.mac else 1) if named else (2 if known else 0)


class _BridgeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bridge: BridgeRecord | None
    packet_ports: Annotated[list[PacketPortRecord], Meta(max_length=16)]


def load_record(directory: Path) -> BridgeRecord | None:
    """The bridge of the node of ``directory``; None for none. OperatorError when the file is damaged."""
    return _load(directory).bridge


def load_packet_ports(directory: Path) -> list[PacketPortRecord]:
    """The node's packet ports, in the order in which they were added. OperatorError when the file is damaged."""
    return _load(directory).packet_ports


def carries_lans(directory: Path) -> bool:
    """Whether the node has a bridge or packet ports. A damaged file, which others report, has none."""
    try:
        record = _load(directory)
    except OperatorError:
        return False
    return record.bridge is not None or bool(record.packet_ports)


def write_record(directory: Path, record: BridgeRecord | None) -> None:
    """The rest of the file stays as it is. OperatorError."""
    _write(directory, msgspec.structs.replace(_load(directory), bridge=record))


def write_packet_ports(directory: Path, records: list[PacketPortRecord]) -> None:
    """The rest of the file stays as it is. OperatorError."""
    _write(directory, msgspec.structs.replace(_load(directory), packet_ports=records))


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Locks out others that would change the node's bridging."""
    with explained(f"lock {directory}"), exclusive(directory / BRIDGE_LOCK_FILE):
        yield


def _load(directory: Path) -> _BridgeFile:
    path = directory / BRIDGE_FILE
    with explained(f"read {path}"):
        try:
            data = read_file(path, MAX_RECORD_BYTES)
        except FileNotFoundError:
            return _BridgeFile(None, [])
    try:
        return msgspec.json.decode(data, type=_BridgeFile)
    except msgspec.DecodeError as error:
        raise OperatorError(f"{path} is damaged: remove it, and the bridge it named, then add again") from error


def _write(directory: Path, content: _BridgeFile) -> None:
    path = directory / BRIDGE_FILE
    with explained(f"write {path}"):
        if content.bridge is None and not content.packet_ports:
            path.unlink(missing_ok=True)
        else:
            replace_file(path, msgspec.json.format(msgspec.json.encode(content)) + b"\n", PUBLIC_MODE)


def known_interfaces(directory: Path) -> list[str]:
    """The node's bridge and its packet ports; none where ``bridge.json`` is not there or damaged."""
    try:
        record, ports = load_record(directory), load_packet_ports(directory)
    except OperatorError:
        return []
    return [*([record.interface] if record is not None else []), *(port.interface for port in ports)]
