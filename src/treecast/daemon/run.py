"""``treecast up``: opens what a node needs, in an order that leaves nothing behind when a step fails."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import SystemRandom

from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock, storage, systemd
from treecast.adapters.account import require_owner
from treecast.adapters.bridge import bridge_again, clear_leftovers
from treecast.adapters.bridge_record import carries_lans, load_record
from treecast.adapters.interface import opens_ipv6_sockets, own_addresses
from treecast.adapters.native import DataPlane
from treecast.adapters.network_news import News
from treecast.adapters.noise import NoiseFactory, preferred_aead
from treecast.adapters.packet_port import open_remembered
from treecast.adapters.privileges import drop_capabilities, keep_secrets, take_account
from treecast.adapters.tap import find_tap
from treecast.adapters.twin_file import require_no_twin, write_twin
from treecast.adapters.underlay import route_type
from treecast.api.server import ControlServer
from treecast.base.addresses import Endpoint
from treecast.base.commands import SetPortForwarding
from treecast.base.errors import IdentityTakenError, OperatorError
from treecast.base.time import Instant
from treecast.daemon import logs
from treecast.daemon.answers import Answers
from treecast.daemon.bridging import Bridging
from treecast.daemon.control_socket import keep_in_place
from treecast.daemon.group_followers import GroupFollowers
from treecast.daemon.interface_keeper import InterfaceKeeper
from treecast.daemon.interface_watch import InterfaceWatch
from treecast.daemon.memory import Memory, remembered_ca_records, remembered_nodes, remembered_pim, remembered_vlans
from treecast.daemon.node import RunningNode, reachable_endpoints
from treecast.daemon.options import UpOptions
from treecast.daemon.overruns import Overruns
from treecast.daemon.own_interface import OwnIPv6, report_groups, set_up, settings_of, stays
from treecast.daemon.packet_ports import PacketPorts
from treecast.daemon.peer_addresses import require_underlay_peers
from treecast.daemon.renewal import Renewal
from treecast.daemon.service import ServiceReports
from treecast.daemon.signals import END_SIGNALS, ignore_meaningless_signals
from treecast.daemon.super_packets import SuperPackets
from treecast.daemon.underlay_watch import SMALLEST_MTU, UnderlayWatch, first_guess
from treecast.daemon.upkeep import Upkeep
from treecast.engine.engine import Engine
from treecast.engine.environment import NodeEnvironment
from treecast.identity.certificate import Certificate
from treecast.identity.node import NodeIdentity
from treecast.links.endpoints import loopback_of
from treecast.multicast import TAP

DEFAULT_PORT = 7700
OVERLAY_OVERHEAD_BYTES = 126


def run(options: UpOptions) -> None:
    """Run a node until one of END_SIGNALS. OperatorError when it cannot start or go on."""
    log = logs.configure(options.log_level, options.account)
    try:
        _open_and_run(options, log)
    finally:
        logs.finish()


def _open_and_run(options: UpOptions, log: FilteringBoundLogger) -> None:
    ignore_meaningless_signals()
    keep_secrets()
    identity = storage.load_node(options.directory, clock.unix_s())
    if options.account is not None:
        require_owner(options.account, options.directory, storage.node_files(options.directory))
    if carries_lans(options.directory):
        storage.require_bridge_role(options.directory)
    require_no_twin(options.directory, identity.certificate.name, clock.unix_s())
    require_underlay_peers(options.peers, identity.network)
    with storage.acquire_node_lock(options.directory), _remembered_twin(options.directory):
        has_ipv6 = opens_ipv6_sockets()
        underlay_mtu = first_guess(options.underlay_mtu_bytes, options.peers)
        settings = settings_of(identity, options.groups, ipv6=has_ipv6)
        found = find_tap(options.interface, options.directory, settings)
        if found is not None and found.name != options.interface:
            log.warning(found.renamed(options.interface))
        plane = DataPlane(
            node_index=identity.certificate.node_index,
            network=identity.network,
            interface=found.name if found is not None else options.interface,
            mac=identity.certificate.mac,
            mtu=overlay_mtu(underlay_mtu),
            underlay_mtu=underlay_mtu,
            listen=options.listen or _default_listen(ipv6=has_ipv6),
            workers=options.workers,
            take=found is not None,
        )
        try:
            ipv6 = OwnIPv6(plane.interface, system=has_ipv6, stays=stays(found, keep=options.keep_interface))
            ipv6.report(log)
            settings = settings_of(identity, options.groups, ipv6=ipv6.is_on)
            clear_leftovers(options.directory)
            refused = set_up(plane, settings, found, keep=options.keep_interface)
            bridge = ""
            try:
                record = bridge_again(options.directory, plane.interface)
                bridge = record.bridge if record else ""
            except OperatorError as error:
                log.warning("not bridged", reason=str(error))
            report_groups([name for name in (bridge, plane.interface) if name], settings, refused, log)
            descriptors = _packet_sockets(options.directory, log)
            endpoints = reachable_endpoints(plane, identity.network, bridge, ())
            keeper = InterfaceKeeper(plane.interface, settings, options.directory, options.account, log)
            if options.account is not None:
                take_account(options.account)
            try:
                watch = InterfaceWatch(plane.interface, settings, overlay_mtu(underlay_mtu), keeper)
                asyncio.run(_run(options, identity, plane, endpoints, descriptors, watch, ipv6, log))
            finally:
                keeper.close()
        finally:
            plane.stop()


@contextmanager
def _remembered_twin(directory: Path) -> Iterator[None]:
    """A run that ends because of an older one elsewhere leaves a note of it for the next start."""
    try:
        yield
    except IdentityTakenError as error:
        if error.older_at:
            with suppress(OperatorError):  # a directory that cannot be written: the exit code says it, too
                write_twin(directory, error.older_at, clock.unix_s())
        raise


def overlay_mtu(underlay_mtu_bytes: int) -> int:
    """The MTU of the TAP: its frames fit one datagram, if that leaves it IPv6 (docs/protocol.md section 8)."""
    return max(underlay_mtu_bytes - OVERLAY_OVERHEAD_BYTES, SMALLEST_MTU)


async def _run(
    options: UpOptions,
    identity: NodeIdentity,
    plane: DataPlane,
    endpoints: tuple[Endpoint, ...],
    descriptors: dict[str, int],
    interface_watch: InterfaceWatch,
    ipv6: OwnIPv6,
    log: FilteringBoundLogger,
) -> None:
    loop = asyncio.get_running_loop()
    certificate = identity.certificate
    now = clock.monotonic()
    engine = _engine_of(options, identity, plane, now, ipv6=ipv6.is_on)
    upkeep = Upkeep.of(engine, log)
    loop.set_exception_handler(upkeep.faults.note_of_loop)
    for signum in END_SIGNALS:
        loop.add_signal_handler(signum, upkeep.ending.stop)
    node = RunningNode(engine, plane, identity.network, options.peers, upkeep)
    packet_ports = PacketPorts(
        options.directory, node, descriptors, upkeep.network.subscribe(News.LINKS | News.ADDRESSES), log
    )
    bridging = Bridging(options.directory, identity.network, node, packet_ports, log)
    of_links = remembered_nodes(options.directory, identity.network.id, engine)
    of_hosts = (remembered_vlans(options.directory, node), remembered_pim(options.directory, node))
    of_ca = remembered_ca_records(options.directory, identity.network, node)
    memory = Memory(options.directory, (of_ca, of_links, *of_hosts), log)
    ready = logs.writer_of_ready()
    for source in (
        memory.problems,
        packet_ports.problems,
        bridging.problems,
        Overruns(lambda: _drops(engine, plane)).problems,
        ipv6.problems,
        ready.problems,
    ):
        upkeep.problems.add_source(source)
    answers = Answers(
        identity,
        engine.view,
        plane,
        bridging,
        upkeep.problems,
        partial(of_ca.recall, log),
        ipv6=ipv6.is_on,
        on=options.in_words,
        started_at=now,
    )
    server = ControlServer(
        options.directory, answers, upkeep.faults.note, GroupFollowers(node, bridging.port_names).answer
    )
    await server.start()
    try:
        drop_capabilities()
        if load_record(options.directory) is not None:
            plane.carry_out([SetPortForwarding(TAP, on=False)])  # until the node has listened on the LAN
        plane.join_groups(options.super_packets)
        plane.start()
        of_links.recall(log)
        node.start(loop, endpoints)
        of_ca.recall(log)  # before the loop takes what others send
        _follow_files(options.directory, identity, node, upkeep)
        bridging.reread()
        memory.start(upkeep.supervision, of_hosts)
        underlay = _follow_network(options, plane, node, packet_ports, interface_watch, upkeep)
        for source in (
            lambda _: interface_watch.problems(bridged=bridging.is_on, owner=engine.view.certified_to),
            underlay.problems,
            node.address_problems,
        ):
            upkeep.problems.add_source(source)
        upkeep.supervision.start("keeping the control socket", lambda: keep_in_place(server, log))
        upkeep.supervision.start("keeping the socket for interfaces", packet_ports.keep_inbox)
        _follow_service(engine, plane, upkeep)
        ready.write(_ready_line(certificate))
        log.info("ready", listening=" ".join(map(str, plane.listening)), offloads=" ".join(plane.offloads))
        systemd.notify("READY=1")
        await upkeep.ending.wait()
        systemd.notify("STOPPING=1")
        log.info("stopping")
        await node.stop()
        memory.save()
    finally:
        packet_ports.close()
        await server.close()
    upkeep.ending.check()


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
        version=version("treecast"),
        route_type=route_type,
        loopback=loopback_of(plane.listening),
    )
    return Engine(
        identity,
        environment,
        factory=NoiseFactory(identity.static_private_key, identity.network),
        membership=options.membership,
        rng=SystemRandom(),
        unix_minus_monotonic_s=unix_now - now,
        router_groups=options.router_groups,
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
    options: UpOptions,
    plane: DataPlane,
    node: RunningNode,
    packet_ports: PacketPorts,
    interface_watch: InterfaceWatch,
    upkeep: Upkeep,
) -> UnderlayWatch:
    """Start what follows this machine's links, addresses and routes, but for the node itself."""
    subscribe, start = upkeep.network.subscribe, upkeep.supervision.start
    configured, log = options.underlay_mtu_bytes, upkeep.log
    changed = subscribe(News.LINKS | News.ADDRESSES | News.ROUTES)
    underlay = UnderlayWatch(plane, configured, options.peers, node.linked, node.set_underlay_mtu, changed, log)
    start("following the interfaces of packet ports", packet_ports.follow_interfaces)
    start("watching the underlay", underlay.follow)
    watching = partial(interface_watch.end_with_interface, subscribe(News.LINKS), upkeep.ending)
    start("watching the interface", watching)
    if options.super_packets:
        super_packets = SuperPackets(plane, subscribe(News.LINKS | News.MULTICAST_ROUTING), log)
        start("following multicast routers of this machine", super_packets.follow)
    return underlay


def _drops(engine: Engine, plane: DataPlane) -> dict[str, int]:
    return {**plane.drops(), **engine.view.drops()}


def _packet_sockets(directory: Path, log: FilteringBoundLogger) -> dict[str, int]:
    """Sockets for the packet ports that ``bridge.json`` has, by interface."""
    try:
        descriptors, notes = open_remembered(directory)
    except OperatorError as error:
        descriptors, notes = {}, [str(error)]
    for note in notes:
        log.warning("no packet port", reason=note)
    return descriptors


def _ready_line(own: Certificate) -> str:
    """With the addresses that are there: somebody may have switched IPv6 off on an interface that stayed."""
    there = {address.ip for _, address in own_addresses()}
    words = (str(address.ip) if address and address.ip in there else "-" for address in (own.ipv4, own.ipv6))
    return " ".join(("ready", own.name, *words))


def _default_listen(*, ipv6: bool) -> tuple[Endpoint, ...]:
    everywhere = (Endpoint(IPv4Address(0), DEFAULT_PORT),)
    return (*everywhere, Endpoint(IPv6Address(0), DEFAULT_PORT)) if ipv6 else everywhere
