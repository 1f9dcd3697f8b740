"""The machine of the node that carried this node's LAN before and is lost: still there, perhaps, without its node.

This node solicits the machine's addresses of the overlay on the LAN. A machine that answers is a host of this node like
any other, and is advertised. Nothing is claimed of a machine that is silent: it may have died with its node.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import BROADCAST_MAC, IPAddress, MacAddress
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.wire import arp, ethernet, ndp
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType

INTERVAL: Duration = 1.0
ATTEMPTS = 3
"""RFC 4861 section 10: three solicitations a second apart."""

SOLICITING_MAC = MacAddress(b"\x02\x54\x00\x00\x00\x00")
"""The MAC of a node 0, which there is not: what is sent to the node's own MAC stays in its machine's bridge."""
_NOBODY = MacAddress(bytes(6))


class OrphanedMachine:
    """The node whose LAN it was, and when its addresses are solicited next."""

    def __init__(self) -> None:
        self._node: NodeIndex | None = None
        self._due: Instant | None = None
        self._left = 0

    def taken_over(self, now: Instant, node: NodeIndex | None, *, lost: bool) -> None:
        """This node carries the LAN from now on, after another one. None: after nobody, or it carries it no more."""
        self._node = node
        self._due = None
        if lost and node is not None:
            self.lost(now, node)

    def lost(self, now: Instant, node: NodeIndex) -> None:
        """No way leads to the node any more."""
        if node == self._node:
            self._due, self._left = now, ATTEMPTS

    def found(self, node: NodeIndex) -> None:
        """The node is there again, or forgotten."""
        if node == self._node:
            self._due = None

    def take_due(self, now: Instant) -> NodeIndex | None:
        """The node whose addresses are to be solicited now."""
        if self._due is None or now < self._due:
            return None
        self._left -= 1
        self._due = after(now, INTERVAL) if self._left else None
        return self._node

    def next_deadline(self) -> Instant | None:
        return self._due


def probe_frame(address: IPAddress) -> bytes:
    """A frame that solicits an address and claims none (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2)."""
    if isinstance(address, IPv4Address):
        packet = ArpPacket(ArpOperation.REQUEST, SOLICITING_MAC, IPv4Address(0), _NOBODY, address)
        return ethernet.emit(EthernetFrame(BROADCAST_MAC, SOLICITING_MAC, EtherType.ARP, arp.emit(packet)))
    group = ndp.solicited_node(address)
    return ndp.frame(
        ndp.NeighborSolicitation(address, ()),
        source_mac=SOLICITING_MAC,
        source=IPv6Address(0),
        destination_mac=ethernet.multicast_mac(group),
        destination=group,
    )
