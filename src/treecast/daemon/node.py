"""A running node: the engine, its data plane and the event loop between them.

It carries values from one to the other and decides nothing. Read ``engine.engine`` for what happens in a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Interface

from treecast.adapters import clock
from treecast.adapters.interface import lan_addresses, machine_addresses, source_addresses
from treecast.adapters.native import DataPlane
from treecast.adapters.netdevice import mac_of
from treecast.adapters.network_change import NetworkChange
from treecast.base.addresses import Endpoint, HostPort
from treecast.base.commands import Command
from treecast.base.errors import OperatorError
from treecast.base.events import CommandRefused
from treecast.base.keep_local import KeepLocal
from treecast.base.lan import BridgedLan
from treecast.base.problems import Problem
from treecast.base.storm_control import StormLimits
from treecast.base.time import Duration, Instant, iso_date
from treecast.daemon.handshake_log import log_handshakes
from treecast.daemon.linked import Linked
from treecast.daemon.peer_addresses import why_no_peer
from treecast.daemon.peer_names import PeerNames
from treecast.daemon.periodic_timer import until_expiry
from treecast.daemon.upkeep import Upkeep
from treecast.engine.engine import Engine
from treecast.engine.tree_view import TraceOf
from treecast.identity.certificate import Certificate
from treecast.identity.network import Network
from treecast.links.endpoints import advertised_endpoints
from treecast.multicast import TAP, PimSegment, PortAddresses

REVIEW_INTERVAL: Duration = 1.0
ADDRESS_PAUSE: Duration = 1.0
"""Addresses are looked up no oftener: a dump of the kernel's."""
MINIMUM_WAIT: Duration = 0.001
FAILED_WAIT: Duration = 0.1
"""The pause after a turn in which a room raised: its deadline may be one that stays due."""
MAX_FAILED_TURNS = 5


def reachable_endpoints(
    plane: DataPlane, network: Network, bridge: str, peers: tuple[Endpoint, ...]
) -> tuple[Endpoint, ...]:
    """Where others may reach this node, by the addresses that the machine has now. Not in an event loop.

    ``bridge``: its LAN may be another node's to carry; empty: there is none.
    """
    addresses = machine_addresses(without=plane.interface)
    return advertised_endpoints(
        plane.listening,
        addresses,
        apart=machine_addresses(without=bridge) if bridge else addresses,
        sources=source_addresses(peers),
        overlay=(network.ipv4, network.ipv6),
    )


class RunningNode:
    """``start``, then the loop's own business, until ``stop``."""

    def __init__(
        self,
        engine: Engine,
        plane: DataPlane,
        network: Network,
        peers: tuple[HostPort, ...],
        upkeep: Upkeep,
    ) -> None:
        self.engine = engine
        self.plane = plane
        self._network = network
        self._bridge = ""
        self._lan: BridgedLan | None = None
        self._peers = peers
        self._names = PeerNames(peers, self._add_static_peer, partial(why_no_peer, network=network))
        self._upkeep = upkeep
        self._upkeep.problems.add_source(self._names.problems)
        self._log = upkeep.log
        self.linked = Linked(engine.view, upkeep.log)
        self._endpoints: tuple[Endpoint, ...] = ()
        self._refused: list[CommandRefused] = []
        self._timer: asyncio.TimerHandle | None = None
        self._review_timer: asyncio.TimerHandle | None = None
        self._addresses_doubted = upkeep.network.subscribe(
            NetworkChange.LINKS | NetworkChange.ADDRESSES | NetworkChange.ROUTES
        )
        self.after_turn: Callable[[], None] = lambda: None
        """Called when a turn's commands are carried out."""

    def start(self, loop: asyncio.AbstractEventLoop, endpoints: tuple[Endpoint, ...]) -> None:
        """The data plane runs already; from here on its events are taken. ``endpoints``: where others may reach it."""
        self._loop = loop
        self._endpoints = endpoints
        self._carry_out(self.engine.start(clock.monotonic(), self._endpoints))
        loop.add_reader(self.plane.event_fd(), self._turn)
        self._review_timer = loop.call_later(REVIEW_INTERVAL, self._review)
        self._upkeep.supervision.start("following this machine's addresses", self._follow_addresses)
        self._upkeep.supervision.start("following changes of this machine's network", self._upkeep.network.follow)
        if self._peers:
            self._upkeep.supervision.start("resolving the names of peers", self._names.follow)

    def stop_relaying(self) -> None:
        """Advertise that this node relays no more."""
        self._carry_out(self.engine.stop_relaying(clock.monotonic()))

    async def stop(self) -> None:
        """Send GOODBYE and let go of the data plane."""
        await self._upkeep.supervision.stop()
        self._loop.remove_reader(self.plane.event_fd())
        for timer in (self._timer, self._review_timer):
            if timer is not None:
                timer.cancel()
        self.plane.carry_out(self.engine.goodbye())
        self.plane.stop()

    def enter_switch_mode(self, bridge: str, lan: BridgedLan) -> None:
        """The TAP is, or is about to be, in a bridge of this name, or the machine's address there has changed."""
        self._bridge, self._lan = bridge, lan
        self._carry_out(self.engine.enter_switch_mode(clock.monotonic(), TAP, lan))

    def renew(self, certificate: Certificate) -> None:
        """Another certificate of this node, for the keys, name and addresses that it runs with."""
        self._log.info("certificate renewed", until=iso_date(certificate.not_after_s))
        self._carry_out(self.engine.renew(clock.monotonic(), certificate))

    def take_ca_records(self, wires: tuple[bytes, ...]) -> None:
        """Records of the CA that the node's directory has."""
        for wire in wires:
            self._carry_out(self.engine.take_ca_record(clock.monotonic(), wire))

    def ca_records(self) -> tuple[bytes, ...]:
        """The records of the CA that are worth remembering for the next run."""
        return self.engine.view.ca_records()

    def trace_trees(self, trace: int, wanted: TraceOf) -> None:
        """Begin a trace of a group's trees, by this number."""
        self._carry_out(self.engine.trace_trees(clock.monotonic(), trace, wanted))

    def identify_port(self, port: int, identity: str) -> None:
        """Other runs know the port by this, too."""
        self._carry_out(self.engine.identify_port(clock.monotonic(), port, identity))

    def recall_vlans(self, vlans: tuple[int, ...]) -> None:
        """VLANs that an earlier run remembered."""
        self._carry_out(self.engine.recall_vlans(clock.monotonic(), vlans))

    def vlans(self) -> tuple[int, ...]:
        """The VLANs that are worth remembering for the next run."""
        return self.engine.view.vlans()

    def recall_pim(self, remembered: tuple[PimSegment, ...]) -> None:
        """PIM routers that an earlier run remembered."""
        self._carry_out(self.engine.recall_pim(clock.monotonic(), remembered))

    def pim_routers(self) -> tuple[PimSegment, ...]:
        """The PIM routers that are worth remembering for the next run."""
        return self.engine.view.pim_routers(clock.monotonic())

    def restart_startup_queries(self) -> None:
        """The TAP is in the bridge: its frames reach the LAN."""
        self._addresses_doubted.set()
        self._carry_out(self.engine.restart_startup_queries(clock.monotonic(), TAP))

    @property
    def lan_addresses(self) -> tuple[IPv4Interface, ...]:
        """This machine's own addresses on the LAN that the TAP shares."""
        return self._lan.addresses if self._lan is not None else ()

    def leave_switch_mode(self) -> None:
        """The TAP is in no bridge any more."""
        self._bridge, self._lan = "", None
        self._addresses_doubted.set()
        self._carry_out(self.engine.leave_switch_mode(clock.monotonic(), TAP))

    def open_packet_port(
        self, descriptor: int, addresses: PortAddresses, limits: StormLimits, keep_local: KeepLocal
    ) -> int:
        """A port with this packet socket: its number. OperatorError."""
        port = self.plane.open_packet_port(descriptor)
        self.address_packet_port(port, addresses, limits, keep_local)
        return port

    def address_packet_port(
        self, port: int, addresses: PortAddresses, limits: StormLimits, keep_local: KeepLocal
    ) -> None:
        """The interface has these addresses now."""
        self._carry_out(self.engine.open_packet_port(clock.monotonic(), port, addresses, limits, keep_local))

    def close_packet_port(self, port: int) -> None:
        """Send the last beacon to the LAN, then close the port."""
        self._carry_out(self.engine.close_packet_port(clock.monotonic(), port))
        self.plane.close_port(port)

    def set_underlay_mtu(self, mtu_bytes: int) -> None:
        """The data plane sends no longer packets from now on; the new MTU is advertised."""
        self._carry_out(self.engine.set_underlay_mtu(clock.monotonic(), mtu_bytes))

    def address_problems(self, now: Instant) -> Iterator[Problem]:
        """A source of ``daemon.problems``: no address at which another node could reach this one."""
        if not self._endpoints:
            text = "this machine has no address at which other nodes reach this one: give an interface one, or --listen"
            yield Problem("no_underlay_address", "this node", text)

    def _turn(self) -> None:
        """A turn for the data plane's events and refusals, or a deadline."""
        refused, self._refused = self._refused, []
        self._carry_out(self.engine.turn(clock.monotonic(), [*refused, *self.plane.events()]))

    def _carry_out(self, commands: Iterable[Command]) -> None:
        try:
            self._refused += self.plane.carry_out(commands)
            if self.linked.log_changes(clock.monotonic()):
                self._addresses_doubted.set()  # from which of this machine's addresses datagrams to a peer leave
            log_handshakes(self._log, self.engine.trace)
            self.after_turn()
        finally:
            self._plan()
            self._judge()

    def _plan(self) -> None:
        now = clock.monotonic()
        deadline = now if self._refused else self.engine.next_deadline(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            wait = FAILED_WAIT if self.engine.faults.failed_turns else MINIMUM_WAIT
            self._timer = self._loop.call_later(max(deadline - now, wait), self._turn)

    def _judge(self) -> None:
        """A turn that fails again and again leaves what is due undone for ever: then a fresh start is better."""
        self._upkeep.faults.take(self.engine.faults)
        if self.engine.faults.failed_turns >= MAX_FAILED_TURNS:
            text = f"the node ends because of a bug, {MAX_FAILED_TURNS} of its turns failed in a row"
            advice = "start it again, and report the lines at level error above"
            self._upkeep.ending.fail(OperatorError(f"{text}: {advice}"))

    def _review(self) -> None:
        now = clock.monotonic()
        wait = until_expiry(now, REVIEW_INTERVAL)
        self._review_timer = self._loop.call_later(wait, self._review)  # first: whatever happens below
        self._carry_out(self.engine.review(now, clock.unix_s(), self.plane.reports()))
        mac = mac_of(self.plane.interface)
        if mac is not None:
            self.engine.set_interface_mac(mac)
        self._check_workers()
        self._check_identity(now)
        self._upkeep.problems.review(now)

    def _check_identity(self, now: Instant) -> None:
        """Two machines with one identity make it unreachable in turns; the one that started later ends."""
        reason = self.engine.must_end(now)
        if reason is not None:
            self._upkeep.ending.fail(reason)

    def _check_workers(self) -> None:
        """The node ends when one of its workers has ended: some flows would stand still for ever."""
        running, workers = self.plane.running_workers, self.plane.workers
        if running < workers:
            text = f"the node ends because {workers - running} of the {workers} threads that move packets ended"
            self._upkeep.ending.fail(OperatorError(f"{text}: start it again, and report the lines above"))

    async def _follow_addresses(self) -> None:
        """This machine's own addresses: they may change, and do when an interface is bridged."""
        while True:
            self._addresses_doubted.clear()
            peers = tuple(link.endpoint for link in self.engine.view.links())
            # Netlink's calls wait for the kernel.
            endpoints = await asyncio.to_thread(reachable_endpoints, self.plane, self._network, self._bridge, peers)
            if endpoints != self._endpoints:
                self._endpoints = endpoints
                self._log.info("addresses changed", endpoints=" ".join(map(str, endpoints)))
                self._carry_out(self.engine.set_endpoints(clock.monotonic(), endpoints))
            self._follow_lan_address()
            await asyncio.sleep(ADDRESS_PAUSE)
            await self._addresses_doubted.wait()

    def _follow_lan_address(self) -> None:
        if self._lan is None:
            return
        found = lan_addresses((self._bridge,), self._network.ipv4)
        mac = mac_of(self._bridge) or self._lan.mac
        if (found, mac) != (self._lan.addresses, self._lan.mac):
            self._log.info("address on the LAN changed", address=" ".join(map(str, found)) or "none", mac=str(mac))
            self.enter_switch_mode(self._bridge, replace(self._lan, addresses=found, mac=mac))

    def _add_static_peer(self, peer: str, endpoints: tuple[Endpoint, ...]) -> None:
        self._carry_out(self.engine.add_static_peer(clock.monotonic(), peer, endpoints))
