"""NodeDiscovery: learns hosts, publishes them, and answers for those of other nodes.

Read ``solicitations`` for which ARP and ND frames are answered and which cross the overlay, ``host_table`` for where a
host lives, ``limits`` for the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import Command, Inject, RemoveHost, SetHost
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REMOTE_HOSTS
from treecast.base.machine_commands import SetBridgeMac
from treecast.base.problems import Problem
from treecast.base.retries import Retries
from treecast.base.tables import TableUse
from treecast.base.time import Instant, earliest
from treecast.discovery import snooping
from treecast.discovery.certified import Given
from treecast.discovery.claims import Claims
from treecast.discovery.host_messages import HostMessages
from treecast.discovery.host_table import HostTable
from treecast.discovery.installed_hosts import InstalledHosts
from treecast.discovery.limits import DEFAULTS, DiscoveryConfig
from treecast.discovery.local_hosts import OWN_PORT, HostKey, LocalHosts
from treecast.discovery.multicast_only_hosts import MulticastOnlyHosts
from treecast.discovery.orphaned_machine import OrphanedMachine, probe_frame
from treecast.discovery.remote_hosts import RemoteHosts
from treecast.discovery.solicitations import Solicitations
from treecast.discovery.view import DiscoveryCounters, HostView
from treecast.discovery.waiting_claims import WaitingClaims
from treecast.wire import ipv6, ndp
from treecast.wire.advertisement import HostContent
from treecast.wire.announcing import announcement_frames
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv4 import PROTOCOL_IGMP


@dataclass(frozen=True, slots=True)
class HostPublication:
    """The content that this node publishes of a host; None: the host is no longer here."""

    key: HostKey
    content: HostContent | None


class Discovery:
    """One node's hosts, and what it knows of the others'. Methods append to ``commands``; the caller empties it."""

    def __init__(self, me: NodeIndex, drops: Drops, config: DiscoveryConfig = DEFAULTS) -> None:
        self._me = me
        self._drops = drops
        self._config = config
        self._host_table = HostTable(me, drops, config)
        self._claims = Claims(me, self._host_table.certified, drops)
        self._solicitations = Solicitations(self._host_table)
        self._installed = InstalledHosts()
        """The hosts that the data plane has."""
        self.retries: Retries[HostKey] = Retries()
        self._waiting_claims = WaitingClaims()
        self._orphaned_machine = OrphanedMachine()
        self._own: tuple[MacAddress, tuple[IPAddress, ...]] | None = None
        self._lan: MacAddress | None = None
        self._blocked: set[int] = set()
        self._multicast_only = MulticastOnlyHosts(drops, config)
        self._host_messages = HostMessages(self._host_table, drops, self.host_seen)
        self.commands: list[Command] = []

    def add_own(
        self, now: Instant, mac: MacAddress, addresses: tuple[IPAddress, ...], lan: MacAddress | None = None
    ) -> None:
        """The node's own interface. It replaces the one before. ``lan``: the machine's MAC on the LAN it leads to."""
        if (lan is None) != (self._lan is None):
            self._host_table.local.remove_port(OWN_PORT)
            self._host_table.moves.forget_port(OWN_PORT)
        if lan != self._lan:
            self.commands.append(SetBridgeMac(lan, addresses if lan else ()))
        self._own, self._lan = (mac, addresses), lan
        self._host_table.set_lan_mac(lan)
        if OWN_PORT not in self._blocked:
            self._host_table.add_own(now, mac, addresses)

    def certify_own(self, given: Given) -> None:
        """This node's own certificate gives it these: with another role, it may publish other hosts than before."""
        self._host_table.certified_mac = given.mac
        self._claims.own = given
        self._host_table.local.changed.extend(self._host_table.local.keys())

    def set_interface_mac(self, mac: MacAddress) -> None:
        """The MAC that the node's own interface has now, which is another than its certificate's if somebody set it."""
        self._host_table.set_interface_mac(mac)

    def set_port_forwarding(self, now: Instant, port: int, on: bool) -> None:
        """Whether this node forwards for a port. Where another node does, it learns, answers and publishes nothing."""
        if not on:
            self._blocked.add(port)
            self._host_table.forget_port(now, port)
            if port == OWN_PORT:
                self._orphaned_machine.taken_over(now, None, lost=False)
        elif port in self._blocked:
            self._blocked.remove(port)
            self._multicast_only.forget_hosts(port, lambda key: self._host_table.remote.get(key) is not None)
            if port == OWN_PORT and self._own is not None:
                self._host_table.add_own(now, *self._own)

    def take_over(self, now: Instant, port: int, hosts: Iterable[HostKey], forwarder_before: NodeIndex | None) -> None:
        """Hosts that were seen on the port while another node carried its LAN are this node's: those that no node
        claims, and those that the node before still does. A host that is elsewhere by now stays there.
        """
        if port == OWN_PORT and port not in self._blocked:
            is_lost = forwarder_before is not None and self._host_table.certified.is_lost(forwarder_before)
            self._orphaned_machine.taken_over(now, forwarder_before, lost=is_lost)
        for vlan, mac in hosts:
            claim = self._host_table.remote.get((vlan, mac))
            if claim is None or claim.node == forwarder_before:
                self.host_seen(now, port, vlan, mac)

    def open_multicast_only(self, port: int) -> None:
        """A port whose hosts exchange multicast with the others and nothing else: they are learned, and only shown."""
        self._multicast_only.open(port)

    def close_multicast_only(self, port: int) -> None:
        self._multicast_only.close(port)
        self._blocked.discard(port)

    # frames of hosts

    def receive(self, now: Instant, port: int, frame: EthernetFrame, wire: bytes) -> bool:
        """A frame from a port; ``wire`` is its bytes. False: it is none of ARP, ND, DHCP, DHCPv6 answers and mDNS."""
        if self._multicast_only.has(port):
            return self._multicast_only.receive(now, port, frame)
        try:
            if frame.ethertype == EtherType.ARP:
                if port not in self._blocked:
                    self.commands += self._solicitations.receive_arp(now, port, frame, wire)
                return True
            if frame.ethertype == EtherType.IPV6:
                packet = ipv6.parse(frame.payload)
                if ndp.is_ndp(packet):
                    if port not in self._blocked:
                        self.commands += self._solicitations.receive_ndp(now, port, frame, packet, wire)
                    return True
                return self._host_messages.receive_ipv6(now, port, frame, packet)
            if frame.ethertype == EtherType.IPV4 and frame.payload[9:10] != _IGMP:
                return self._host_messages.receive_ipv4(now, port, frame)
        except MalformedError as error:
            self._drops.count(error.reason)
            return True
        return False

    def holder(self, vlan: int, address: IPAddress) -> HostKey | None:
        """The host elsewhere that has this address."""
        return self._host_table.holder(vlan, address)

    def host_seen(self, now: Instant, port: int, vlan: int, mac: MacAddress) -> None:
        """A frame with this source came from a port (the data plane reports it when it is new, and now and then)."""
        if self._multicast_only.has(port):
            self._multicast_only.sighted(now, port, (vlan, mac), snooping.SOURCE_ONLY)
        elif port not in self._blocked:
            self._host_table.sighted(now, port, (vlan, mac), snooping.SOURCE_ONLY)

    # advertisements of other nodes

    def certify(self, now: Instant, node: NodeIndex, given: Given) -> bool:
        """A node's certificate gives it these: what others claim of them does not count. True: other than before, so
        that its own claims are to be learned anew.
        """
        if not self._host_table.certified.give(node, given):
            return False
        self._claims.forget_node(node)
        for other in self._host_table.remote.claimants((0, given.mac)):
            if other != node:
                self.learn(now, other, (0, given.mac), None)
        return True

    def lose(self, now: Instant, node: NodeIndex) -> list[tuple[NodeIndex, HostKey]]:
        """No way leads to the node any more: the claims that are to be judged anew, as of its machine elsewhere."""
        if not self._host_table.lose(node):
            return []
        self._orphaned_machine.lost(now, node)
        return self._claims.disputed.of(node)

    def find(self, node: NodeIndex) -> list[tuple[NodeIndex, HostKey]]:
        """The node is there again with its machine, as hosts here learn: the claims that are to be judged anew."""
        if not self._host_table.certified.find(node):
            return []
        if given := self._host_table.certified.given(node):  # its addresses may be known at another MAC
            self._announce(given.mac, given.addresses)
        self._orphaned_machine.found(node)
        return self._claims.disputed.of(node)

    def uncertify(self, node: NodeIndex) -> None:
        """The node is gone."""
        self._host_table.certified.take(node)
        self._claims.disputed.forget(node)
        self._orphaned_machine.found(node)
        self._claims.forget_node(node)
        self._waiting_claims.discard(node)

    def certified_to(self, what: MacAddress | IPAddress) -> NodeIndex | None:
        """The node whose certificate gives it this address."""
        return self._host_table.certified.owner(what)

    def learn(self, now: Instant, node: NodeIndex, key: HostKey, content: HostContent | None) -> bool:
        """A node's claim to a host; None when it ended. False: there is no room for it now (``take_left_out``)."""
        if content is None:
            self._claims.ended(node, key)
        claim = None if content is None else self._claims.of(now, node, key, content)
        remote = self._host_table.remote
        if claim is not None and remote.is_full and not remote.has(key, node):
            self._displace(now, node)
        had = remote.addresses_of(key, node)
        is_known = self._host_table.claimed(now, node, key, claim)
        if not is_known:
            self._waiting_claims.put(node)
        self._place(key)
        self._announce_machine(node, key, [one for one in remote.addresses_of(key, node) if one not in had])
        return is_known

    def _announce_machine(self, node: NodeIndex, key: HostKey, addresses: list[IPAddress]) -> None:
        """The hosts here know the machine of a lost node at that one's MAC for as long as their entry lasts."""
        certified, holder = self._host_table.certified, self._host_table.holder
        of_another = [one for one in addresses if certified.owner(one) not in (None, node)]
        self._announce(key[1], [one for one in of_another if holder(key[0], one) == key])

    def _announce(self, mac: MacAddress, addresses: Iterable[IPAddress]) -> None:
        if OWN_PORT not in self._blocked:
            self.commands += [Inject(OWN_PORT, frame) for frame in announcement_frames(mac, addresses)]

    def _displace(self, now: Instant, node: NodeIndex) -> None:
        """A node that has more claims in the full table than this one gives a place to it, its newest."""
        found = self._host_table.remote.to_evict(node)
        if found is not None:
            most, key = found
            self._drops.count("remote_hosts_full")
            self._host_table.claimed(now, most, key, None)
            self._place(key)
            self._waiting_claims.put(most)

    def take_left_out(self, now: Instant) -> NodeIndex | None:
        """A node whose claims are to be learned anew: some found no room, and there is some now."""
        return None if self._host_table.remote.is_full else self._waiting_claims.take(now)

    def link_up(self, node: NodeIndex) -> None:
        """The data plane forgot the node's hosts with its last link; this may have learned of them since."""
        self.commands += [SetHost(*key, node) for key in self._installed.of(node)]

    def _place(self, key: HostKey) -> None:
        """Set the host's node in the data plane, when that changed."""
        where = self._host_table.where(key)
        if where is None or where == self._me:
            if self._installed.remove(key):
                self.commands.append(RemoveHost(*key))
        elif self._installed.get(key) != where:
            self._installed.put(key, where)
            self.commands.append(SetHost(*key, where))

    def refused(self, now: Instant, command: SetHost) -> None:
        """The data plane's table of hosts is full: this one is an unknown destination until it is tried again."""
        key = (command.vlan, command.mac)
        if self._installed.get(key) == command.peer:
            self._installed.remove(key)
            self.retries.add(now, key)

    # results

    def changes(self) -> list[HostPublication]:
        """The hosts that this node must publish or withdraw since the last call."""
        local = self._host_table.local
        changed = sorted(set(local.changed))
        local.changed.clear()
        changes: list[HostPublication] = []
        for key in changed:
            self._place(key)
            changes.append(HostPublication(key, self._claims.publishable(key, local.get(key))))
        return changes

    def take_duplicates(self) -> list[HostKey]:
        """Hosts that were found to be in two places since the last call."""
        taken, self._host_table.new_duplicates = self._host_table.new_duplicates, []
        return taken

    def take_arrivals(self) -> list[tuple[int, int]]:
        """Ports and VLANs that hosts have come to, from elsewhere, since the last call."""
        return self._host_table.moves.take_arrivals()

    def local_hosts(self) -> LocalHosts:
        return self._host_table.local

    def remote_hosts(self) -> RemoteHosts:
        return self._host_table.remote

    def hosts(self, now: Instant) -> Iterator[HostView | None]:
        """The host table for people: this node's hosts, the others', then those that are reached by groups only.

        None: the caller may pause here too.
        """
        yield from self._host_table.views(now)
        yield from self._multicast_only.views(self._me, self._blocked)

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """Hosts and addresses that are in two places, and nodes that claim what they may not. ``name``: of a node."""
        yield from self._host_table.problems(now, name)
        yield from self._claims.problems(name)

    def with_most_hosts(self) -> tuple[NodeIndex, int] | None:
        """The other node that claims most, and how many."""
        return self._host_table.remote.largest()

    def tables(self, port_name: Callable[[int], str]) -> Iterator[TableUse]:
        """How full they are."""
        for port, hosts in [*self._host_table.local.ports(), *self._multicast_only.ports()]:
            advice = "further ones are not known to other nodes: find out whether one machine there makes up MACs"
            yield TableUse(f"hosts on {port_name(port)}", hosts, self._config.max_hosts_per_port, advice)
        remote = len(self._host_table.remote)
        advice, largest = "bridge fewer or smaller LANs", self._host_table.remote.largest()
        yield TableUse("hosts of other nodes", remote, MAX_REMOTE_HOSTS, advice, largest)

    @property
    def counters(self) -> DiscoveryCounters:
        return self._host_table.counters

    def advance(self, now: Instant) -> None:
        self._host_table.advance(now)
        self.commands += self._host_table.announcements(now)
        self._multicast_only.advance(now)
        self._probe_for_orphaned_machine(now)
        for key in self.retries.take(now):
            self._place(key)

    def _probe_for_orphaned_machine(self, now: Instant) -> None:
        node = self._orphaned_machine.take_due(now)
        given = self._host_table.certified.given(node) if node is not None else None
        if given is None:
            return
        unknown = [one for one in given.addresses if self._host_table.local.holder(0, one) is None]
        self.commands += [Inject(OWN_PORT, probe_frame(one)) for one in unknown]

    def next_deadline(self) -> Instant | None:
        waiting = None if self._host_table.remote.is_full else self._waiting_claims.next_deadline()
        hosts = self._host_table.next_deadline(), self._multicast_only.next_deadline()
        return earliest(*hosts, self.retries.next_deadline(), waiting, self._orphaned_machine.next_deadline())


_IGMP = bytes((PROTOCOL_IGMP,))
