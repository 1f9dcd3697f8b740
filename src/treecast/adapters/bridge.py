"""Switch mode's plumbing: a Linux bridge of a network interface and the node's TAP.

::

      before                                after ``treecast bridge add DIR eth0``

      eth0 192.168.1.5/24, default route     tcbr-eth0 (eth0's MAC): 192.168.1.5/24, default route,
      treecast0 10.77.0.1/16, 224.0.0.0/4     |     |                10.77.0.1/16, 224.0.0.0/4
                                             eth0  treecast0

The bridge is the machine's from then on, as if made by hand: the node's end, whatever its kind, takes the TAP out of it
and leaves the rest. ``DIR/bridge.json`` has what to bridge when the node starts again, and what ``remove`` gives back
to whom. Addresses and routes are given to the new interface before they are taken from the old one, and every step
that was done is undone when a later one fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from pyroute2 import IPRoute

from treecast.adapters.bridge_record import BridgeRecord, load_record, locked, write_record
from treecast.adapters.bridge_setup import (
    BridgeSetUp,
    give_overlay_back,
    overlay_addresses,
    overlay_routes,
    part,
    put_back,
    stop_snooping,
)
from treecast.adapters.configurer import configurer_of, refusal
from treecast.adapters.interface_configuration import (
    delete_addresses,
    delete_routes,
    read_configuration,
)
from treecast.adapters.lan_memory import give_back
from treecast.adapters.link import (
    NetworkInterface,
    find_link,
    ports_of,
    refusals,
    require_free,
    require_lan_interface,
    require_no_bridge,
)
from treecast.adapters.put_back import PutBack
from treecast.adapters.rtnetlink import RouteSocket
from treecast.adapters.sysfs import ipv6_is_off, ipv6_switch, is_wireless
from treecast.base.errors import OperatorError
from treecast.base.keep_local import KeepLocal
from treecast.base.storm_control import StormLimits

BRIDGE_PREFIX = "tcbr-"

_MAX_NAME = 15  # IFNAMSIZ without its final zero
_IPV4 = 2


@dataclass(frozen=True, slots=True)
class Done:
    """``changed`` False: it was so before. ``interface``: as it is called now; ``bridge``: its. ``notes``: sentences
    on what is left to do. ``bare``: the interface had no addresses to give, for a bridge that had them was deleted.
    """

    changed: bool
    interface: str
    bridge: str = ""
    notes: tuple[str, ...] = ()
    bare: bool = False


def bridge_add(
    directory: Path,
    tap: str,
    interface: str,
    limits: StormLimits,
    recorded: Callable[[], object],
    *,
    keep_local: KeepLocal,
    force: bool = False,
) -> Done:
    """Bridges ``interface`` with the running node's TAP. OperatorError.

    ``recorded`` is called when ``bridge.json`` is written and nothing is done yet: the node blocks its port before a
    second way to the LAN can close a loop. ``force``: although a program configures the interface.
    """
    with locked(directory), _netlink(f"bridge {interface}") as (ipr, kernel):
        record = load_record(directory)
        now = record.interface_now if record is not None and record.is_of(interface) else interface
        nic, own = _require_bridgeable(ipr, now, tap, record), _require_tap(ipr, tap)
        if record is not None and not record.is_of(interface):
            bridged = record.interface_now
            advice = f"remove that first (treecast bridge remove {directory} {bridged})"
            raise OperatorError(f"this node bridges {bridged} already: {advice}")
        name = record.bridge if record is not None else bridge_name(interface)
        bridge = find_link(ipr, name)
        if record is not None and bridge is not None and nic.master == own.master == bridge.index:
            if (record.tap, record.interface) != (tap, interface):  # renamed since
                known = nic.name if interface == nic.name else record.interface
                write_record(directory, msgspec.structs.replace(record, tap=tap, interface=known))
            notes = [f"{name} snooped, and does no longer" for _ in stop_snooping(ipr, bridge)]
            if put_back(kernel, record, bridge, routes_too=True):
                notes.append(f"{name} lacked addresses or routes of the overlay, and has them again")
            return Done(False, nic.name, name, tuple(notes))
        if bridge is not None and record is None:
            raise OperatorError(f"there is an interface {name} already: remove it with ip link del {name}")
        if bridge is None or nic.master != bridge.index:
            require_free(ipr, nic)
        found = _require_left_alone(kernel, nic, name, force=force)
        bare = record is not None and bridge is None and not _has_addresses(kernel, nic)
        joining = BridgeSetUp(ipr, kernel, directory, limits, recorded, forced=force, keep_local=keep_local)
        given = joining.join(nic, own, name, lan_too=bare)
    if ipv6_is_off(name) and not ipv6_is_off("all"):
        text = (
            f"IPv6 is off on {name} as on {nic.name}, so this machine has no IPv6 address of the overlay while bridged"
        )
        found = (*found, f"{text}: {ipv6_switch(name)}")
    if not bare:
        return Done(True, nic.name, name, found)
    return Done(True, nic.name, name, (*found, _restored(given, name, name)), bare=True)


def bridge_again(directory: Path, tap: str) -> BridgeRecord | None:
    """Bridges as in ``bridge.json`` at the node's start, its TAP just configured. OperatorError; the TAP stays."""
    with locked(directory):
        record = load_record(directory)
        if record is None:
            return None
        with _netlink(f"bridge {record.interface}") as (ipr, kernel):
            nic, own = _require_bridgeable(ipr, record.interface_now, tap, record), _require_tap(ipr, tap)
            bridge = find_link(ipr, record.bridge)
            if bridge is None or nic.master != bridge.index:
                require_free(ipr, nic)
            if not nic.master and not record.forced:
                _require_left_alone(kernel, nic, record.bridge, force=False)
            kept = record.kept()
            joining = BridgeSetUp(
                ipr, kernel, directory, record.limits(), lambda: None, forced=record.forced, keep_local=kept
            )
            joining.join(nic, own, record.bridge, remembered_as=record.interface)
        return load_record(directory)


def clear_leftovers(directory: Path) -> None:
    """Takes from the bridge what it still has of a TAP that is gone, before the new one is configured."""
    record = load_record(directory)
    if record is None:
        return
    with locked(directory), _netlink(f"tidy {record.bridge}") as (ipr, kernel):
        bridge = find_link(ipr, record.bridge)
        tap = find_link(ipr, record.tap)
        if bridge is not None and (tap is None or tap.master != bridge.index):
            configuration = read_configuration(kernel, bridge.index)
            delete_routes(kernel, bridge.index, overlay_routes(configuration, record))
            delete_addresses(kernel, bridge.index, overlay_addresses(configuration, record))


def put_back_on_bridge(directory: Path, tap: str, *, routes: bool) -> PutBack | None:
    """Give back to the bridge what it has lost of the overlay's; ``routes``: these too though no address is missing.

    None where the TAP is in none, and while the bridge is down: no route can be on it then. OperatorError.
    """
    with locked(directory), _netlink("give the bridge what it has lost") as (ipr, kernel):
        record = load_record(directory)
        bridge = find_link(ipr, record.bridge) if record is not None else None
        own = find_link(ipr, tap)
        if record is None or bridge is None or own is None or own.master != bridge.index:
            return None
        if not bridge.up:
            return None
        settings = stop_snooping(ipr, bridge)
        return replace(put_back(kernel, record, bridge, routes_too=routes), settings=settings)


def bridge_remove(directory: Path, interface: str) -> Done:
    """Undoes ``bridge_add``, whether the node runs or not. OperatorError."""
    notes: tuple[str, ...] = ()
    with locked(directory):
        record = load_record(directory)
        if record is None:
            return Done(False, interface)
        nic = record.interface_now
        if not record.is_of(interface):
            raise OperatorError(f"this node bridges {nic}, not {interface}: remove that")
        with _netlink(f"take {nic} out of its bridge") as (ipr, kernel):
            bridge = find_link(ipr, record.bridge)
            tap = find_link(ipr, record.tap)
            if bridge is None and tap is not None and not tap.master:
                give_overlay_back(ipr, kernel, record, tap)
            if bridge is None:
                notes = _given_to_interface(ipr, kernel, record)
            else:
                others = set(ports_of(ipr, bridge.index)) - {nic, record.tap}
                if others:
                    raise OperatorError(
                        f"{record.bridge} has other ports too ({' '.join(sorted(others))}): take them out"
                    )
                configurer = configurer_of(bridge.name, bridge.index, leased=False)
                if configurer is not None:
                    notes = (f"{configurer} was for {bridge.name}: stop it, and have {nic} configured again",)
                part(ipr, kernel, record, bridge, nic)
        write_record(directory, None)
    return Done(True, nic, notes=notes)


def _has_addresses(kernel: RouteSocket, nic: NetworkInterface) -> bool:
    return any(not address.is_link_local for address in read_configuration(kernel, nic.index).addresses)


def _given_to_interface(ipr: IPRoute, kernel: RouteSocket, record: BridgeRecord) -> tuple[str, ...]:
    """Somebody has deleted the bridge: the interface has what it had once, unless it has addresses again."""
    nic = find_link(ipr, record.interface_now)
    if nic is None or _has_addresses(kernel, nic):
        return ()
    return (_restored(give_back(kernel, record, nic.index), nic.name, record.bridge),)


def _restored(given: list[str], name: str, bridge: str) -> str:
    gone = f"{bridge} had been deleted, with this machine's addresses on it"
    if not given:
        return f"{gone}: give them to {name} (ip address add, or its DHCP client)"
    return f"{gone}: {name} has {' '.join(given)} again, as when {bridge} was made; what changed since is lost"


def bridge_name(interface: str) -> str:
    """``tcbr-`` and the interface's name, or the end of a long one."""
    return BRIDGE_PREFIX + interface[-(_MAX_NAME - len(BRIDGE_PREFIX)) :]


def _require_bridgeable(ipr: IPRoute, interface: str, tap: str, record: BridgeRecord | None) -> NetworkInterface:
    made = (record.bridge, record.interface) if record is not None else ("", "")
    link = require_lan_interface(ipr, interface, tap, *made)
    require_no_bridge(link)
    if is_wireless(interface):
        raise OperatorError(f"{interface} is a Wi-Fi station, which carries no other machine's frames: use a cable")
    return link


def _require_tap(ipr: IPRoute, tap: str) -> NetworkInterface:
    link = find_link(ipr, tap)
    if link is None:
        raise OperatorError(f"the node's interface {tap} is not here: run this where the node runs, while it runs")
    return link


def _require_left_alone(kernel: RouteSocket, nic: NetworkInterface, bridge: str, *, force: bool) -> tuple[str, ...]:
    """Sentences on addresses that will end, and, with ``force``, on the program that configures the interface;
    without, OperatorError where one does.
    """
    leased = [
        a for a in read_configuration(kernel, nic.index).addresses if a.family == _IPV4 and a.ends_in_s is not None
    ]
    configurer = configurer_of(nic.name, nic.index, leased=bool(leased))
    if configurer is not None and not force:
        raise refusal(configurer, nic.name, bridge)
    forced = [] if configurer is None else [f"{configurer} configures {nic.name}: have it configure {bridge} instead"]
    lasts = [
        f"{address} ends in {address.ends_in_s} s unless it is renewed: run its DHCP client on {bridge}"
        for address in leased
    ]
    return (*forced, *lasts)


@contextmanager
def _netlink(what: str) -> Iterator[tuple[IPRoute, RouteSocket]]:
    with refusals(what), IPRoute() as ipr, RouteSocket() as kernel:
        yield ipr, kernel
