"""ARP and ND of hosts: decides which frames cross the overlay, and answers for hosts of other nodes.

A solicitation whose answer is known does not cross. Announcements and duplicate address detection (RFC 5227, RFC 4862
section 5.4) always do: they are meant for all hosts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import FloodFrame, Inject
from treecast.base.time import Instant
from treecast.discovery import snooping
from treecast.discovery.host_table import HostTable
from treecast.discovery.local_hosts import HostKey
from treecast.discovery.recent_solicitations import RecentSolicitations
from treecast.wire import arp, ndp
from treecast.wire.arp import ArpOperation
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.ipv6 import Ipv6Packet


@dataclass(frozen=True, slots=True)
class _Solicitation:
    """A solicitation of a host for the MAC of ``target``; ``wire`` is the frame's bytes."""

    port: int
    solicitor: HostKey
    target: IPAddress
    wire: bytes
    answer: Callable[[MacAddress, bool], bytes]
    """The frame that answers it, from the target's MAC and whether it is a router."""


class Solicitations:
    """ARP and ND frames of ports that this node forwards for. What the data plane is to do with each is returned."""

    def __init__(self, host_table: HostTable) -> None:
        self._host_table = host_table
        self._recent = RecentSolicitations()

    def receive_arp(self, now: Instant, port: int, frame: EthernetFrame, wire: bytes) -> list[FloodFrame | Inject]:
        """An ARP frame from a port; ``wire`` is its bytes. MalformedError."""
        packet, sighting = snooping.of_arp(frame)
        key = (frame.vlan_id or 0, frame.source)
        self._host_table.sighted(now, port, key, sighting)
        if not frame.destination.is_group:
            return []
        if packet.operation is not ArpOperation.REQUEST or packet.is_probe or packet.is_gratuitous:
            return [FloodFrame(port, wire)]

        def answer(mac: MacAddress, _: bool) -> bytes:
            return arp.reply_frame(packet, mac, frame.vlan)

        return self._received(now, _Solicitation(port, key, packet.target_ip, wire, answer))

    def receive_ndp(
        self, now: Instant, port: int, frame: EthernetFrame, packet: Ipv6Packet, wire: bytes
    ) -> list[FloodFrame | Inject]:
        """An ND frame from a port; ``wire`` is its bytes. MalformedError."""
        message, sighting = snooping.of_ndp(frame, packet)
        key = (frame.vlan_id or 0, frame.source)
        self._host_table.sighted(now, port, key, sighting)
        if not frame.destination.is_group:
            return []
        if not isinstance(message, ndp.NeighborSolicitation) or packet.source.is_unspecified:
            return [FloodFrame(port, wire)]

        def answer(mac: MacAddress, is_router: bool) -> bytes:
            return ndp.advertisement_frame(
                message,
                solicitor=packet.source,
                solicitor_mac=frame.source,
                mac=mac,
                router=is_router,
                vlan=frame.vlan,
            )

        return self._received(now, _Solicitation(port, key, message.target, wire, answer))

    def _received(self, now: Instant, solicitation: _Solicitation) -> list[FloodFrame | Inject]:
        """A solicitation is answered, left to the host itself, or flooded to all nodes: while the host is held as a
        duplicate, it may be elsewhere.
        """
        local, remote, counters = self._host_table.local, self._host_table.remote, self._host_table.counters
        port, wire = solicitation.port, solicitation.wire
        address = (solicitation.solicitor[0], solicitation.target)
        here = local.holder(*address)
        host = local.get(here) if here else None
        elsewhere = self._host_table.holder(*address)
        holder = here or elsewhere
        held = holder is not None and self._host_table.is_held(now, address, holder)
        commands: list[FloodFrame | Inject] = []
        if host is not None:
            repeated = self._recent.is_repeated(now, solicitation.solicitor[1], address)
            if host.port != port:
                commands.append(Inject(host.port, wire))
            if not repeated and not held:
                counters.solicitations_suppressed += 1
                return commands
        elif elsewhere is not None and not held:
            claim = remote.get(elsewhere)
            counters.solicitations_proxied += 1
            return [Inject(port, solicitation.answer(elsewhere[1], claim is not None and claim.is_router))]
        counters.solicitations_flooded += 1
        return [*commands, FloodFrame(port, wire)]
