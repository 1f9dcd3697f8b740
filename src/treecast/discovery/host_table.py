"""The host table: where a host lives and which host has an address, when several claim it. The rules stand here.

Hosts follow EVPN's MAC mobility (RFC 7432 section 7.7): the later move has the higher sequence, of equals the lower
node wins, and none is believed that jumps ahead (``remote_hosts``). Addresses follow RFC 9161 section 3.7: the last to
claim it has it. A host that moves too often is a duplicate and stays where it was until the last announcement counts
(``mobility``); an address that a certificate gives to a node cannot be taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import Inject
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.sorting import sorted_in_slices
from treecast.base.time import Instant, after, earliest
from treecast.discovery.certified import CertifiedAddresses
from treecast.discovery.conflicts import AddressConflicts
from treecast.discovery.departed import Belongings, DepartedHosts
from treecast.discovery.host_problems import address_conflicts, duplicate_hosts
from treecast.discovery.limits import DiscoveryConfig, is_virtual_router
from treecast.discovery.local_hosts import AddressKey, HostKey, LocalHosts, host_sort_key
from treecast.discovery.mobility import Mobility
from treecast.discovery.moves import Moves
from treecast.discovery.orphaned_machine import SOLICITING_MAC
from treecast.discovery.remote_hosts import RemoteHost, RemoteHosts
from treecast.discovery.snooping import Sighting
from treecast.discovery.view import DiscoveryCounters, HostView


@dataclass(slots=True)
class RefusedSightings:
    """The last sightings of a duplicate on a port of this node, by address."""

    port: int
    sighted_at: Instant
    sightings: dict[IPAddress | None, Sighting]


class HostTable:
    """The host table of one node: hosts seen on its ports, hosts that other nodes claim, and what follows from both."""

    def __init__(self, me: NodeIndex, drops: Drops, config: DiscoveryConfig) -> None:
        self._me = me
        self._drops = drops
        self.local = LocalHosts(drops, config)
        self.remote = RemoteHosts()
        self.certified = CertifiedAddresses()
        self.counters = DiscoveryCounters()
        self.new_duplicates: list[HostKey] = []
        """The caller empties it."""
        self.moves = Moves(drops, config)
        self._config = config
        self._hosts: Mobility[HostKey, RefusedSightings] = Mobility(lambda key: config.pace(key[1]))
        self._addresses: Mobility[AddressKey, HostKey] = Mobility(lambda key: config.pace())
        self._conflicts = AddressConflicts()
        self._departed = DepartedHosts()
        self._interface_mac: MacAddress | None = None
        self._lan_mac: MacAddress | None = None
        self.certified_mac: MacAddress | None = None
        """The MAC of the node's own interface by its certificate: no host where another node carries its LAN."""

    def where(self, key: HostKey) -> NodeIndex | None:
        """The node that has the host."""
        if self.local.get(key) is not None:
            return self._me
        claim = self.remote.get(key)
        return claim.node if claim else None

    def holder(self, vlan: int, address: IPAddress) -> HostKey | None:
        """The host elsewhere that has this address, as far as a way leads to its node."""
        return self.remote.with_address(vlan, address, lambda node: self.certified.is_believed(node, vlan, address))

    def is_held(self, now: Instant, address: AddressKey, host: HostKey) -> bool:
        """Whether the host, or the address's holder, stays where it was though it was seen elsewhere."""
        return self._hosts.is_duplicate(now, host) or self._addresses.is_duplicate(now, address)

    def lose(self, node: NodeIndex) -> bool:
        """No way leads to the node any more: what its certificate gives it may be its machine's behind another one."""
        given = self.certified.given(node)
        if given is None or not self.certified.lose(node):
            return False
        for address in given.addresses:
            self._conflicts.forget((0, address))
        return True

    # this node's ports

    def add_own(self, now: Instant, mac: MacAddress, addresses: tuple[IPAddress, ...]) -> None:
        """The node's own interface; that it was elsewhere before (behind who carried its LAN) is a move like any."""
        self.local.add_own(now, mac, addresses, self.remote.next_sequence((0, mac)))

    def set_interface_mac(self, mac: MacAddress) -> None:
        """The own interface has this MAC now: this machine is no second host, though somebody changed it."""
        if mac != self._interface_mac:
            self._interface_mac = mac
            self._conflicts.forget_claimant(mac)

    def set_lan_mac(self, mac: MacAddress | None) -> None:
        """This machine has this MAC on the LAN that it is bridged to: it is no second host either."""
        self._lan_mac = mac

    def sighted(self, now: Instant, port: int, key: HostKey, sighting: Sighting) -> None:
        """A frame of a host has come on a port."""
        if key[1].is_group or not any(key[1].packed) or key[1] == SOLICITING_MAC:
            self._drops.count("host_mac_invalid")
            return
        if not self._take_host(now, port, key, sighting):
            return
        if sighting.is_router is not None:
            self.local.set_router(key, sighting.is_router)
        if sighting.address is not None:
            self.take_address(now, key, sighting.address, shared=sighting.shared)

    def _take_host(self, now: Instant, port: int, key: HostKey, sighting: Sighting) -> bool:
        host, claim = self.local.get(key), self.remote.get(key)
        if self.certified.owner(key[1]) not in (None, self._me) or (host and host.own and host.port != port):
            self._drops.count("host_of_another_node")
            return False
        if key == (0, self.certified_mac) and (self._lan_mac is not None or host is None or not host.own):
            return False  # the kernel sends by the interface itself, from any address, around its time in a bridge
        moves = host.port != port if host else claim is not None
        if moves and self._hosts.is_duplicate(now, key):
            self._drops.count("host_duplicate")
            self._refuse(now, port, key, sighting)
            return False
        if not self.local.sighted(now, port, key, self.remote.next_sequence(key)):
            return False
        if moves:
            self._host_moved(now, key)
        departed = self._departed.take(now, key)
        had = claim or departed
        if moves or departed is not None:
            self.moves.came(port, key[0])
        if host is None and had is not None:
            self._bring_along(now, key, had)
        return True

    def _bring_along(self, now: Instant, key: HostKey, had: RemoteHost | Belongings) -> None:
        """A host that comes here has what it had there, until it announces something else or that ages: a node that
        takes a LAN over sees frames of its hosts long before their next ARP.
        """
        if had.is_router:
            self.local.set_router(key, is_router=True)
        for address in had.addresses:
            is_its_own = self.local.holder(key[0], address) is None and self.holder(key[0], address) in (None, key)
            if is_its_own and self.certified.may_have(self._me, key[0], address):
                self.local.take_address(now, key, address)

    def take_address(self, now: Instant, key: HostKey, address: IPAddress, *, shared: bool) -> None:
        """A host of this node claims this address."""
        vlan, mac = key
        holder = self.local.holder(vlan, address) or self.holder(vlan, address)
        if holder == key or (holder is None and not shared):
            self.local.take_address(now, key, address)
            return
        if holder is None or shared:
            return  # not its alone: solicitations for it must reach all that have it
        host = self.local.get(holder)
        if (host and host.own) or not self.certified.may_have(self._me, vlan, address):
            self._drops.count("address_of_a_node")
            self._conflict(now, (vlan, address), holder[1], mac)
        elif self._addresses.is_duplicate(now, (vlan, address)):
            self._drops.count("address_duplicate")
            self._addresses.refuse((vlan, address), key)
            self._conflict(now, (vlan, address), holder[1], mac)
        elif self.local.take_address(now, key, address):
            self._address_moved(now, (vlan, address), holder[1], mac)

    # other nodes

    def claimed(self, now: Instant, node: NodeIndex, key: HostKey, claim: RemoteHost | None) -> bool:
        """A node's claim to a host; None when it ended. False: there is no room for it."""
        before = self._elsewhere(key)
        if not self.remote.put(key, node, claim):
            self._drops.count("remote_hosts_full")
            return False
        self._claim_changed(now, node, key, claim, before)
        return True

    def _claim_changed(
        self, now: Instant, node: NodeIndex, key: HostKey, claim: RemoteHost | None, before: RemoteHost | None
    ) -> None:
        """``before``: the claim that counted."""
        winner, host = self._elsewhere(key), self.local.get(key)
        if claim is not None and self.remote.is_ahead(key, node, (host.sequence, -self._me) if host else None):
            self._drops.count("host_sequence_ahead")
        if winner is None and host is None and before is not None:
            self._departed.put(now, key, before.addresses, is_router=before.is_router)
        if winner is None and host is None:
            self._learn_refused(now, key, self._hosts.take_refused(key))
        if winner is None or winner is before:
            return
        if host is not None:
            if host.own:
                self._outbid(now, key)
                return
            self.local.remove(key)
            self._host_moved(now, key)
            self.moves.gone(now, host.port, key)
        elif before is not None and before.node != winner.node:
            self._host_moved(now, key)
        known = before.addresses if before and before.node == winner.node else ()
        for address in winner.addresses:
            if address not in known and self.certified.may_have(winner.node, key[0], address):
                self._yield(now, key, address)

    def _elsewhere(self, key: HostKey) -> RemoteHost | None:
        """The claim of another node that counts, more than this node's own where it has one."""
        host = self.local.get(key)
        return self.remote.get(key) if host is None else self.remote.outranking(key, (host.sequence, -self._me))

    def _outbid(self, now: Instant, key: HostKey) -> None:
        """Another node takes this node's own interface for a host of its own: ours is true, so ours is later.

        Two nodes that both claim it have one MAC; they stop when it is clear that this does not end.
        """
        if self._hosts.is_duplicate(now, key):
            self._drops.count("host_duplicate")
            return
        self.local.outbid(key, self.remote.next_sequence(key))
        self._host_moved(now, key)

    def _yield(self, now: Instant, key: HostKey, address: IPAddress) -> None:
        """A host elsewhere has got an address: no host of this node has it any more."""
        holder = self.local.holder(key[0], address)
        if holder is None:
            return
        host = self.local.get(holder)
        if host is not None and host.own:
            self._conflict(now, (key[0], address), holder[1], key[1])
        else:
            self.local.drop_address(key[0], address)
            self._address_moved(now, (key[0], address), holder[1], key[1])

    # holds

    def _refuse(self, now: Instant, port: int, key: HostKey, sighting: Sighting) -> None:
        """Note a duplicate's sighting; of several addresses, all that were seen on its last port."""
        refused = self._hosts.refused(key)
        if refused is None or refused.port != port:
            refused = RefusedSightings(port, now, {})
            self._hosts.refuse(key, refused)
        refused.sighted_at = now
        if len(refused.sightings) <= self._config.max_addresses_per_host or sighting.address in refused.sightings:
            refused.sightings[sighting.address] = sighting

    def _learn_refused(self, now: Instant, key: HostKey, refused: RefusedSightings | None) -> None:
        """The hold has ended: the last announcement counts."""
        if refused is None or after(refused.sighted_at, self._config.host_lifetime) <= now:
            return
        for sighting in refused.sightings.values():
            self.sighted(now, refused.port, key, sighting)

    def forget_port(self, now: Instant, port: int) -> None:
        """Another node serves it: its hosts end here, and what was refused there counts no more."""
        for key, host in self.local.items():
            if host.port == port and not host.own:
                self._departed.put(now, key, host.addresses, is_router=host.is_router)
        self.local.remove_port(port)
        self.moves.forget_port(port)
        self._hosts.drop_refused(lambda refused: refused.port == port)

    # bookkeeping

    def _host_moved(self, now: Instant, key: HostKey) -> None:
        self.counters.host_moves += 1
        if self._hosts.moved(now, key):
            self.counters.host_duplicates += 1
            self.new_duplicates.append(key)

    def _address_moved(self, now: Instant, address: AddressKey, before: MacAddress, after: MacAddress) -> None:
        """One move of an address is a change; two within the window are two hosts that both live."""
        self.counters.address_moves += 1
        self.counters.address_duplicates += self._addresses.moved(now, address)
        if self._addresses.recent_moves(now, address) > 1:
            self._conflict(now, address, after, before)

    def _conflict(self, now: Instant, address: AddressKey, holder: MacAddress, claimant: MacAddress) -> None:
        if claimant not in (self._interface_mac, self._lan_mac):
            self.counters.address_conflicts += self._conflicts.note(now, address, holder, claimant)

    def advance(self, now: Instant) -> None:
        self.local.advance(now)
        for key, refused in self._hosts.advance(now):
            host = self.local.get(key)
            if host is not None and host.own and self._elsewhere(key) is not None:
                self._outbid(now, key)
            self._learn_refused(now, key, refused)
        for (_, address), claimant in self._addresses.advance(now):
            if claimant is not None and self.local.get(claimant) is not None:
                self.take_address(now, claimant, address, shared=False)
        self._conflicts.advance(now)
        self._departed.advance(now)

    def next_deadline(self) -> Instant | None:
        moves = self._hosts.next_deadline(), self._addresses.next_deadline(), self.moves.next_deadline()
        return earliest(self.local.next_deadline(), *moves)

    def announcements(self, now: Instant) -> list[Inject]:
        """Frames in the name of hosts that have moved away, for the LANs that they left."""
        return self.moves.announcements(now, lambda key: self.where(key) not in (None, self._me))

    # for people

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """Duplicates, and addresses that two claim. ``name``: of a node."""
        found = [key for key in self._hosts.in_two_places(now) if not is_virtual_router(key[1])]
        kept = {key: self.where(key) for key in found if self._hosts.is_duplicate(now, key)}
        yield from duplicate_hosts(found, kept.get, name)
        yield from address_conflicts(self._conflicts.items())

    def views(self, now: Instant) -> Iterator[HostView | None]:
        """This node's hosts, then the others', by VLAN and MAC, as each is when it is reached. None: a pause."""
        others: dict[tuple[int, MacAddress], list[MacAddress]] = {}
        for (vlan, _), conflict in self._conflicts.items():
            others.setdefault((vlan, conflict.holder), []).append(conflict.claimant)
            others.setdefault((vlan, conflict.claimant), []).append(conflict.holder)

        def view(
            key: HostKey,
            addresses: tuple[IPAddress, ...],
            node: NodeIndex,
            port: int | None,
            sighted_at: Instant | None,
            is_router: bool,
            name: str = "",
        ) -> HostView:
            moves, duplicate = self._hosts.moves(key), self._hosts.is_duplicate(now, key)
            conflicts = tuple(sorted(set(others.get(key, ()))))
            return HostView(*key, addresses, node, port, sighted_at, is_router, moves, duplicate, conflicts, name)

        for key in sorted_in_slices(self.local.keys(), host_sort_key):
            host = self.local.get(key) if key else None
            if key is None or host is None:
                yield None
                continue
            sighted_at = None if host.own else host.last_received
            yield view(key, host.sorted_addresses(), self._me, host.port, sighted_at, host.is_router, host.name)
        for key in sorted_in_slices(self.remote.keys(), host_sort_key):
            claim = self.remote.get(key) if key else None
            if key is None or claim is None or self.local.get(key) is not None:
                yield None
                continue
            yield view(key, claim.addresses, claim.node, None, claim.learned_at, claim.is_router)
