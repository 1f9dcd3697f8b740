"""A node that runs, from the start of its event loop to its end: its parts are made, started and ended here."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import SystemRandom

from treecast import __version__
from treecast.adapters import clock, systemd
from treecast.adapters.bridge_record import load_record
from treecast.adapters.interface import own_addresses
from treecast.adapters.native import DataPlane
from treecast.adapters.network_change import NetworkChange
from treecast.adapters.noise import NoiseFactory, preferred_aead
from treecast.adapters.privileges import drop_capabilities
from treecast.adapters.signals import END_SIGNALS
from treecast.adapters.tree_plans import LinkGraph
from treecast.adapters.underlay import underlay_route_type
from treecast.api.server import ControlServer
from treecast.base.addresses import Endpoint
from treecast.base.commands import SetPortForwarding
from treecast.base.time import Instant
from treecast.daemon import logs
from treecast.daemon.answers import Answers
from treecast.daemon.bridging import Bridging
from treecast.daemon.control_socket import keep_in_place
from treecast.daemon.group_followers import GroupFollowers
from treecast.daemon.interface_watch import InterfaceWatch
from treecast.daemon.log_lines import Log
from treecast.daemon.memory import (
    Memory,
    RememberedKind,
    remembered_ca_records,
    remembered_nodes,
    remembered_pim,
    remembered_vlans,
)
from treecast.daemon.node import RunningNode
from treecast.daemon.not_permitted import NotPermitted
from treecast.daemon.options import UpOptions
from treecast.daemon.overruns import Overruns
from treecast.daemon.overused_node_routes import OverusedNodeRoutes
from treecast.daemon.own_interface import OwnIPv6
from treecast.daemon.packet_ports import PacketPorts
from treecast.daemon.refused_nodes import RefusedNodes
from treecast.daemon.renewal import Renewal
from treecast.daemon.service import ServiceReports
from treecast.daemon.stopping_relay import stop_relaying
from treecast.daemon.super_packets import SuperPackets
from treecast.daemon.trace_answers import TraceAnswers
from treecast.daemon.underlay_watch import UnderlayWatch
from treecast.daemon.upkeep import Upkeep
from treecast.engine.engine import Engine
from treecast.engine.environment import GroupOptions, NodeEnvironment
from treecast.identity.certificate import Certificate
from treecast.identity.node import NodeIdentity
from treecast.links.endpoints import loopback_of
from treecast.links.memory import Remembered
from treecast.multicast import TAP, PimSegment


@dataclass(frozen=True, slots=True)
class OpenResources:
    """All that a node has open when its event loop begins. ``packet_sockets``: by interface."""

    options: UpOptions
    identity: NodeIdentity
    plane: DataPlane
    endpoints: tuple[Endpoint, ...]
    packet_sockets: dict[str, int]
    interface_watch: InterfaceWatch
    ipv6: OwnIPv6
    log: Log


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a node that runs, made and not started yet."""

    engine: Engine
    upkeep: Upkeep
    node: RunningNode
    packet_ports: PacketPorts
    bridging: Bridging
    of_links: RememberedKind[Remembered]
    of_hosts: tuple[RememberedKind[int], RememberedKind[PimSegment]]
    of_ca: RememberedKind[bytes]
    memory: Memory


async def run_opened(opened: OpenResources) -> None:
    """Run a node until it is to end. OperatorError when it cannot go on."""
    now, plane, log = clock.monotonic(), opened.plane, opened.log
    parts = _parts_of(opened, now)
    node, upkeep = parts.node, parts.upkeep
    ready = logs.writer_of_ready()
    upkeep.problems.add_source(ready.problems)
    server = _server_of(opened, parts, now)
    await server.start()
    try:
        drop_capabilities()
        _start(opened, parts)
        upkeep.supervision.start_keeper("keeping the control socket", lambda well: keep_in_place(server, well, log))
        ready.write(_ready_line(opened.identity.certificate))
        log.info("ready", listening=" ".join(map(str, plane.listening)), offloads=" ".join(plane.offloads))
        systemd.notify("READY=1")
        await upkeep.ending.wait()
        systemd.notify("STOPPING=1")
        log.info("stopping")
        if not upkeep.ending.has_failed:
            await stop_relaying(node, plane, log)
        await node.stop()
        parts.memory.save()
    finally:
        parts.packet_ports.close()
        await server.close()
    upkeep.ending.check()


def _parts_of(opened: OpenResources, now: Instant) -> _Parts:
    """The parts; whatever they say is wrong is among the problems, and signals end the node."""
    options, network, plane, log = opened.options, opened.identity.network, opened.plane, opened.log
    loop = asyncio.get_running_loop()
    engine = _engine_of(options, opened.identity, plane, now, ipv6=opened.ipv6.is_on)
    upkeep = Upkeep.of(engine, log)
    loop.set_exception_handler(upkeep.faults.note_of_loop)
    for signum in END_SIGNALS:
        loop.add_signal_handler(signum, upkeep.ending.stop)
    node = RunningNode(engine, plane, network, options.peers, upkeep)
    changes = upkeep.network.subscribe(NetworkChange.LINKS | NetworkChange.ADDRESSES)
    packet_ports = PacketPorts(options.directory, node, opened.packet_sockets, changes, log)
    bridging = Bridging(options.directory, network, node, packet_ports, log)
    of_links = remembered_nodes(options.directory, network.id, engine)
    of_hosts = (remembered_vlans(options.directory, node), remembered_pim(options.directory, node))
    of_ca = remembered_ca_records(options.directory, network, node)
    memory = Memory(options.directory, (of_ca, of_links, *of_hosts), log)
    refused_nodes = RefusedNodes(engine.view, plane, engine.drops)
    overruns = Overruns(lambda: _drops(engine, plane), refused_nodes.most)
    not_permitted = NotPermitted(options.directory, engine.view, plane)
    overused = OverusedNodeRoutes(engine.view.name, plane.forward_cuts)
    parts = (memory, packet_ports, bridging, refused_nodes, overruns, overused, not_permitted, opened.ipv6)
    for part in parts:
        upkeep.problems.add_source(part.problems)
    return _Parts(engine, upkeep, node, packet_ports, bridging, of_links, of_hosts, of_ca, memory)


def _server_of(opened: OpenResources, parts: _Parts, started_at: Instant) -> ControlServer:
    """The server of the verbs that ask this node."""
    answers = Answers(
        opened.identity,
        parts.engine.view,
        opened.plane,
        parts.bridging,
        parts.upkeep.problems,
        partial(parts.of_ca.recall, opened.log),
        ipv6=opened.ipv6.is_on,
        on=opened.options.in_words,
        started_at=started_at,
    )
    followers = GroupFollowers(parts.node, parts.bridging.port_names)
    tracing = TraceAnswers(parts.node)
    return ControlServer(opened.options.directory, answers, parts.upkeep.faults.note, followers.answer, tracing.ask)


def _start(opened: OpenResources, parts: _Parts) -> None:
    options, plane, log, upkeep = opened.options, opened.plane, opened.log, parts.upkeep
    if load_record(options.directory) is not None:
        plane.carry_out([SetPortForwarding(TAP, on=False)])  # until the node has listened on the LAN
    plane.join_groups(options.super_packets)
    plane.start()
    parts.of_links.recall(log)
    parts.node.start(asyncio.get_running_loop(), opened.endpoints)
    parts.of_ca.recall(log)  # before the loop takes what others send
    _follow_files(options.directory, opened.identity, parts.node, upkeep)
    parts.bridging.reread()
    parts.memory.start(upkeep.supervision, parts.of_hosts)
    _follow_network(opened, parts.node, parts.bridging, parts.packet_ports, upkeep)
    upkeep.supervision.start_keeper("keeping the socket for interfaces", parts.packet_ports.keep_inbox)
    _follow_service(parts.engine, plane, upkeep)


def _engine_of(options: UpOptions, identity: NodeIdentity, plane: DataPlane, now: Instant, *, ipv6: bool) -> Engine:
    """The engine of a node that starts now, in the environment that it finds."""
    unix_now = clock.unix_s()
    environment = NodeEnvironment(
        families=tuple(endpoint.address.version for endpoint in plane.listening),
        ipv6=ipv6,
        epoch_ms=int(unix_now * 1000),
        aead=preferred_aead(),
        instance=SystemRandom().randbytes(8),
        underlay_mtu=plane.underlay_mtu,
        version=__version__,
        underlay_route_type=underlay_route_type,
        loopback=loopback_of(plane.listening),
        relaying=options.relaying,
        installed=plane,
        max_links=options.max_links,
        on_demand=options.on_demand,
    )
    return Engine(
        identity,
        environment,
        factory=NoiseFactory(identity.static_private_key, identity.network),
        membership=options.membership,
        rng=SystemRandom(),
        unix_minus_monotonic_s=unix_now - now,
        groups=GroupOptions(options.router_groups, options.authenticated, options.replicated, options.protected),
        planner=options.planner,
        link_planner=LinkGraph(),
    )


def _follow_service(engine: Engine, plane: DataPlane, upkeep: Upkeep) -> None:
    """Start the reports to systemd, where it started this process and listens."""
    if systemd.is_listening():
        reports = ServiceReports(plane, lambda: len(engine.view.links()), upkeep.problems, upkeep.log)
        upkeep.supervision.start("reporting to systemd", reports.follow)


def _follow_files(directory: Path, own: NodeIdentity, node: RunningNode, upkeep: Upkeep) -> None:
    """Take a renewed certificate that comes into the directory, at SIGHUP at once."""
    renewal = Renewal(directory, own, node.renew)
    upkeep.problems.add_source(renewal.problems)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renewal.look_now)


def _follow_network(
    opened: OpenResources, node: RunningNode, bridging: Bridging, packet_ports: PacketPorts, upkeep: Upkeep
) -> None:
    """Start what follows this machine's links, addresses and routes, and says what is wrong with them."""
    options, plane, interface_watch = opened.options, opened.plane, opened.interface_watch
    subscribe, start = upkeep.network.subscribe, upkeep.supervision.start
    configured, log = options.underlay_mtu_bytes, upkeep.log
    changed, seen = (subscribe(NetworkChange.LINKS | NetworkChange.ADDRESSES | NetworkChange.ROUTES) for _ in range(2))
    underlay = UnderlayWatch(plane, configured, options.peers, node.linked, node.set_underlay_mtu, changed, log)
    start("following the interfaces of packet ports", packet_ports.follow_interfaces)
    start("watching the underlay", underlay.follow)
    watching = partial(interface_watch.end_with_interface, subscribe(NetworkChange.LINKS), upkeep.ending)
    start("watching the interface", watching)
    if options.super_packets:
        super_packets = SuperPackets(plane, subscribe(NetworkChange.LINKS | NetworkChange.MULTICAST_ROUTING), log)
        start("following multicast routers of this machine", super_packets.follow)
    for source in (
        lambda _: interface_watch.problems(seen, bridged=bridging.is_on, owner=node.engine.view.certified_to),
        underlay.problems,
        node.address_problems,
    ):
        upkeep.problems.add_source(source)


def _drops(engine: Engine, plane: DataPlane) -> dict[str, int]:
    return {**plane.drops(), **engine.view.drops()}


def _ready_line(own: Certificate) -> str:
    """The line has the addresses that are there: somebody may have switched IPv6 off on an interface that stayed."""
    there = {address.ip for _, address in own_addresses()}
    words = (str(address.ip) if address and address.ip in there else "-" for address in (own.ipv4, own.ipv6))
    return " ".join(("ready", own.name, *words))
