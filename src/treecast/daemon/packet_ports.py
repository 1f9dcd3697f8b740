"""The running node's packet ports: as ``bridge.json`` has them, with sockets that others have opened.

The node keeps the socket of each: an interface that was taken away, and is there again, needs no new one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from treecast.adapters.bridge_record import PacketPortRecord, load_packet_ports
from treecast.adapters.interface import addresses_of
from treecast.adapters.native import bind_packet_socket
from treecast.adapters.netdevice import index_of, mtu_of, name_of
from treecast.api.bridge_records import PacketPort
from treecast.api.handover import DescriptorInbox
from treecast.base.errors import OperatorError
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.control_socket import keep_inbox_in_place
from treecast.daemon.lan_faults import lan_down, renamed
from treecast.daemon.lan_words import state_of, storms_of
from treecast.daemon.log_lines import Log
from treecast.daemon.node import RunningNode
from treecast.daemon.refused import TooBigCount
from treecast.designated_forwarder.designated_forwarder import PortState
from treecast.multicast import PortAddresses


@dataclass(slots=True)
class _Open:
    """``name``: of its interface, now."""

    port: int
    record: PacketPortRecord
    addresses: PortAddresses
    index: int
    name: str


class PacketPorts:
    """``reread`` after ``bridge.json`` has changed."""

    def __init__(
        self,
        directory: Path,
        node: RunningNode,
        descriptors: dict[str, int],
        changed: asyncio.Event,
        log: Log,
    ) -> None:
        """``descriptors``: sockets by interface, opened at the start; closed here. ``changed``: set when interfaces or
        addresses may have changed.
        """
        self._directory = directory
        self._node = node
        self._sockets = descriptors
        self._changed = changed
        self._log = log
        self._inbox = DescriptorInbox(directory)
        self._records: list[PacketPortRecord] = []
        self._open: dict[str, _Open] = {}
        self._refusals: dict[str, str] = {}
        self._too_big = TooBigCount(0)

    def reread(self) -> None:
        """Open and close the ports of the file. OperatorError when it is damaged."""
        known = {record.mac: record.interface for record in self._records if record.mac}
        self._records = load_packet_ports(self._directory)
        for record in self._records:  # one may have another name since
            before = known.get(record.mac, record.interface)
            if record.interface not in self._sockets and before in self._sockets:
                self._sockets[record.interface] = self._sockets.pop(before)
        arrived = self._inbox.take()
        wanted = {record.interface: record for record in self._records}
        for interface in list(self._open):
            if wanted.get(interface) != self._open[interface].record or interface in arrived:
                self._close(interface)
        for interface, descriptor in arrived.items():
            self._forget_socket(interface)
            self._sockets[interface] = descriptor
        for interface in self._sockets.keys() - wanted.keys():
            self._forget_socket(interface)
        self._open_those_there()

    async def follow_interfaces(self) -> None:
        """Queries go out from an interface's addresses, which may change, as its name may; one that is gone takes its
        port along, until it is there again.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            for interface, own in list(self._open.items()):
                name = name_of(own.index)
                if not name or self._is_elsewhere(own.record, name):
                    self._close(interface)
                    continue
                if name != own.name:
                    own.name = name
                    self._node.engine.name_port(own.port, name)
                addresses = _addresses(name)
                if addresses != own.addresses:
                    own.addresses = addresses
                    self._node.address_packet_port(own.port, addresses, own.record.limits(), own.record.kept())
            self._open_those_there()

    async def keep_inbox(self, well: Callable[[], None]) -> None:
        """Interfaces can be handed over whoever cleans up the directory. OperatorError when that is impossible."""
        await keep_inbox_in_place(self._inbox, well, self._log)

    def close(self) -> None:
        """Take no more sockets. The ports end with the data plane."""
        for interface in list(self._sockets):
            self._forget_socket(interface)
        self._inbox.close()

    def names(self) -> dict[int, str]:
        """The interface of each open port."""
        return {own.port: own.name for own in self._open.values()}

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Problems of ports that ``bridge.json`` has and that are not open, or whose interface is down, unplugged or
        renamed; and of frames that are too long for one.
        """
        self._too_big.note(now, self._node.plane.dropped("packet_too_big"), fell=False)
        yield from too_big({own.name: mtu_of(own.name) for own in self._open.values()}, self._too_big.lately(now))
        for record in self._records:
            name = record.interface
            own = self._open.get(name)
            if own is not None:
                if own.name != name:
                    yield renamed(self._directory, name, own.name, "--packet", found=bool(record.mac))
                yield from lan_down(own.name)
                continue
            yield Problem("packet_port_closed", name, self._why_closed(record))

    def answer(self, states: dict[int, PortState]) -> list[PacketPort]:
        """Packet ports for ``bridge show``. ``states``: of the elections, by port."""
        return [self._shown(record.interface, states) for record in self._records]

    def _shown(self, interface: str, states: dict[int, PortState]) -> PacketPort:
        own = self._open.get(interface)
        state = states.get(own.port) if own else None
        if own is None or state is None:
            return PacketPort(interface, None)
        shown, why, forwarder = state_of(state, self._name, lan_down(own.name))
        return PacketPort(
            own.name,
            own.port,
            remembered_as=interface,
            state=shown,
            why=why,
            forwarder=forwarder,
            nodes=[self._name(node) for node in state.nodes],
            looped=state.looped,
            keep_local=list(own.record.kept().words()),
            storms=storms_of(own.record.limits(), self._node.plane.storm_refused(own.port)),
        )

    def _name(self, node: NodeIndex) -> str:
        return self._node.engine.view.name(node)

    def _why_closed(self, record: PacketPortRecord) -> str:
        """A sentence on a port that is not open, and what opens it."""
        name, candidates, verb = record.interface, self._candidates(record), f"treecast bridge add {self._directory}"
        remove = f"treecast bridge remove {self._directory} {name}"
        lost = "so nothing of its LAN is carried"
        if len(candidates) > 1:
            text = f"packet port {name} is gone, and {' and '.join(candidates)} have its MAC {record.mac}, {lost}"
            return f"{text}: run {verb} {candidates[0]} --packet, with the one that leads to its LAN, and {remove}"
        if candidates or name not in self._sockets:
            text, refusal = f"packet port {name} is not open", self._refusals.get(name)
            return f"{text}{(refusal and f' ({refusal})') or ''}, {lost}: run {verb} {name} --packet, or {remove}"
        missing = f"no interface has its MAC {record.mac}" if index_of(name) else "the interface is not there"
        text = f"packet port {name} is gone: {missing}, {lost}"
        return f"{text}: bring the interface back, and it is open again, or run {remove}"

    def _candidates(self, record: PacketPortRecord) -> list[str]:
        """The interface of a port that is not open; of several, which may be it, all. None is another port's."""
        others = [other for other in self._records if other is not record]
        taken = set(self.names().values())
        return [
            name
            for name in record.interfaces_now()
            if name not in taken and all(other.claim(name) <= record.claim(name) for other in others)
        ]

    def _is_elsewhere(self, record: PacketPortRecord, name: str) -> bool:
        """Whether an open port took an interface for its name, and the one of its MAC is there now."""
        return record.claim(name) == 1 and any(record.claim(other) > 1 for other in self._candidates(record))

    def _open_those_there(self) -> None:
        """Open the ports that are not, and whose interface is there, perhaps again, perhaps by another name."""
        for record in self._records:
            if record.interface in self._open or record.interface not in self._sockets:
                continue
            candidates = self._candidates(record)
            if len(candidates) != 1:
                continue
            try:
                self._open_one(record, candidates[0])
                self._refusals.pop(record.interface, None)
            except OperatorError as error:
                if self._refusals.get(record.interface) != str(error):
                    self._log.warning("packet port not opened", interface=record.interface, reason=str(error))
                self._refusals[record.interface] = str(error)

    def _open_one(self, record: PacketPortRecord, name: str) -> None:
        descriptor, index = self._sockets[record.interface], index_of(name)
        if not index:
            return  # gone in this moment
        bind_packet_socket(descriptor, name, index)
        addresses = _addresses(name)
        port = self._node.open_packet_port(descriptor, addresses, record.limits(), record.kept())
        self._open[record.interface] = _Open(port, record, addresses, index, name)
        self._node.engine.name_port(port, name)
        self._node.identify_port(port, record.identity)
        self._log.info("packet port opened", interface=name, port=port)

    def _forget_socket(self, interface: str) -> None:
        if interface in self._sockets:
            os.close(self._sockets.pop(interface))

    def _close(self, interface: str) -> None:
        own = self._open.pop(interface)
        self._node.close_packet_port(own.port)
        self._log.info("packet port closed", interface=own.name, port=own.port)


def too_big(mtus: Mapping[str, int], count: int) -> Iterator[Problem]:
    """Frames for packet ports that their interfaces refused. ``mtus``: of these; with several, those with the smallest
    are named, for the count is of all.
    """
    if not count or not mtus:
        return
    smallest = min(mtus.values())
    names = " ".join(sorted(name for name, mtu in mtus.items() if mtu == smallest))
    yield Problem(
        "frames_too_big",
        names,
        f"{names} refused {count} frames as longer than its MTU of {smallest} bytes, which hosts of its LAN lack: "
        f"ip link set {names.split()[0]} mtu 1500 if that LAN carries as much, or give the senders an MTU of "
        f"{smallest}",
    )


def _addresses(interface: str) -> PortAddresses:
    ipv4, link_local = addresses_of(interface)
    return PortAddresses(ipv4[0].ip if ipv4 else IPv4Address(0), link_local, lan=ipv4)
