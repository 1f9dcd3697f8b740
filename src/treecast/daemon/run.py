"""``treecast up``: opens what a node needs, in an order that leaves nothing behind when a step fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from treecast.adapters import clock, storage
from treecast.adapters.account import require_own, require_owner
from treecast.adapters.bridge import bridge_again, clear_leftovers
from treecast.adapters.bridge_record import carries_lans
from treecast.adapters.interface import opens_ipv6_sockets
from treecast.adapters.native import DataPlane
from treecast.adapters.packet_port import open_remembered
from treecast.adapters.privileges import keep_secrets, take_account
from treecast.adapters.signals import ignore_meaningless_signals
from treecast.adapters.tap import find_tap
from treecast.adapters.twin_file import require_no_twin, write_twin
from treecast.base.addresses import DEFAULT_PORT, Endpoint
from treecast.base.errors import IdentityTakenError, OperatorError
from treecast.daemon import logs
from treecast.daemon.interface_keeper import InterfaceKeeper
from treecast.daemon.interface_watch import InterfaceWatch
from treecast.daemon.log_lines import Log
from treecast.daemon.node import reachable_endpoints
from treecast.daemon.options import UpOptions
from treecast.daemon.own_interface import OwnIPv6, report_groups, set_up, settings_of, stays
from treecast.daemon.peer_addresses import require_underlay_peers
from treecast.daemon.running import OpenResources, run_opened
from treecast.daemon.underlay_watch import SMALLEST_MTU, first_guess

OVERLAY_OVERHEAD_BYTES = 126


def run(options: UpOptions) -> None:
    """Run a node until one of END_SIGNALS. OperatorError when it cannot start or go on."""
    log = logs.configure(options.log_level, options.account)
    try:
        _open_and_run(options, log)
    finally:
        logs.finish()


def _open_and_run(options: UpOptions, log: Log) -> None:
    ignore_meaningless_signals()
    keep_secrets()
    identity = storage.load_node(options.directory, clock.unix_s())
    if options.account is not None:
        require_owner(options.account, options.directory, storage.node_files(options.directory))
    else:
        require_own(options.directory, storage.node_files(options.directory))
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
            signing_key=identity.signing_key,
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
                opened = OpenResources(options, identity, plane, endpoints, descriptors, watch, ipv6, log)
                asyncio.run(run_opened(opened))
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


def _packet_sockets(directory: Path, log: Log) -> dict[str, int]:
    """Sockets for the packet ports that ``bridge.json`` has, by interface."""
    try:
        descriptors, notes = open_remembered(directory)
    except OperatorError as error:
        descriptors, notes = {}, [str(error)]
    for note in notes:
        log.warning("no packet port", reason=note)
    return descriptors


def _default_listen(*, ipv6: bool) -> tuple[Endpoint, ...]:
    everywhere = (Endpoint(IPv4Address(0), DEFAULT_PORT),)
    return (*everywhere, Endpoint(IPv6Address(0), DEFAULT_PORT)) if ipv6 else everywhere
