"""Switch mode's plumbing: a Linux bridge of a network interface and the node's TAP.

::

      before                                after ``treecast bridge add DIR eth0``

      eth0 192.168.1.5/24, default route     tcbr-eth0 (eth0's MAC): 192.168.1.5/24, default route,
      treecast0 10.77.0.1/16, 224.0.0.0/4     |     |                10.77.0.1/16, 224.0.0.0/4
                                             eth0  treecast0

The bridge is the machine's from then on, as if made by hand: the node's end, whatever its kind, takes the TAP out of it
and leaves the rest. ``DIR/bridge.json`` says what to bridge when the node starts again, and what ``remove`` gives back
to whom. Addresses and routes are given to the new interface before they are taken from the old one, and every step
that was done is undone when a later one fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pyroute2 import IPRoute

from treecast.adapters.bridge_record import BridgeRecord, load_record, locked, write_record
from treecast.adapters.bridge_setup import BridgeSetUp, overlay_addresses, overlay_routes, part, put_back
from treecast.adapters.configurer import configurer_of, refusal
from treecast.adapters.interface_configuration import (
    delete_addresses,
    delete_routes,
    read_configuration,
)
from treecast.adapters.link import (
    Link,
    find_link,
    is_wireless,
    ports_of,
    refusals,
    require_free,
    require_lan_interface,
    require_no_bridge,
)
from treecast.adapters.rtnetlink import RouteSocket
from treecast.base.errors import OperatorError
from treecast.base.keep_local import KeepLocal
from treecast.base.storm_control import StormLimits

BRIDGE_PREFIX = "tcbr-"

_MAX_NAME = 15  # IFNAMSIZ without its final zero
_IPV4 = 2


@dataclass(frozen=True, slots=True)
class Done:
    """``changed`` False: it was so before. ``notes``: sentences on what is left to do."""

    changed: bool
    notes: tuple[str, ...] = ()


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

    ``recorded`` is called when ``bridge.json`` says so and nothing is done yet: the node blocks its port before a
    second way to the LAN can close a loop. ``force``: although a program configures the interface.
    """
    with locked(directory), _netlink(f"bridge {interface}") as (ipr, kernel):
        record = load_record(directory)
        nic, own = _require_bridgeable(ipr, interface, tap, record), _require_tap(ipr, tap)
        if record is not None and record.interface != interface:
            advice = f"remove that first (treecast bridge remove {directory} {record.interface})"
            raise OperatorError(f"this node bridges {record.interface} already: {advice}")
        name = bridge_name(interface)
        bridge = find_link(ipr, name)
        if record is not None and bridge is not None and nic.master == own.master == bridge.index:
            if record.tap != tap:  # renamed since
                write_record(directory, msgspec.structs.replace(record, tap=tap))
            if put_back(kernel, record, bridge, routes_too=True):
                return Done(False, (f"{name} lacked addresses or routes of the overlay, and has them again",))
            return Done(changed=False)
        if bridge is not None and record is None:
            raise OperatorError(f"there is an interface {name} already: remove it with ip link del {name}")
        if bridge is None or nic.master != bridge.index:
            require_free(ipr, nic)
        notes = () if force else _require_left_alone(kernel, nic, name)
        joining = BridgeSetUp(ipr, kernel, directory, limits, recorded, forced=force, keep_local=keep_local)
        joining.join(nic, own, name)
    return Done(changed=True, notes=notes)


def bridge_again(directory: Path, tap: str) -> BridgeRecord | None:
    """At the node's start, its TAP just configured: bridges what ``bridge.json`` says. OperatorError; the TAP stays."""
    with locked(directory):
        record = load_record(directory)
        if record is None:
            return None
        with _netlink(f"bridge {record.interface}") as (ipr, kernel):
            nic, own = _require_bridgeable(ipr, record.interface, tap, record), _require_tap(ipr, tap)
            bridge = find_link(ipr, record.bridge)
            if bridge is None or nic.master != bridge.index:
                require_free(ipr, nic)
            if not nic.master and not record.forced:
                _require_left_alone(kernel, nic, record.bridge)
            kept = record.kept()
            joining = BridgeSetUp(
                ipr, kernel, directory, record.limits(), lambda: None, forced=record.forced, keep_local=kept
            )
            joining.join(nic, own, record.bridge)
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


def put_back_on_bridge(directory: Path, tap: str) -> list[str] | None:
    """What the bridge has lost of the overlay's, given back; None where the TAP is in none. OperatorError."""
    with locked(directory), _netlink("give the bridge what it has lost") as (ipr, kernel):
        record = load_record(directory)
        bridge = find_link(ipr, record.bridge) if record is not None else None
        own = find_link(ipr, tap)
        if record is None or bridge is None or own is None or own.master != bridge.index:
            return None
        return put_back(kernel, record, bridge, routes_too=False)


def bridge_remove(directory: Path, interface: str) -> Done:
    """Undoes ``bridge_add``, whether the node runs or not. OperatorError."""
    notes: tuple[str, ...] = ()
    with locked(directory):
        record = load_record(directory)
        if record is None:
            return Done(changed=False)
        if record.interface != interface:
            raise OperatorError(f"this node bridges {record.interface}, not {interface}: remove that")
        with _netlink(f"take {interface} out of its bridge") as (ipr, kernel):
            bridge = find_link(ipr, record.bridge)
            if bridge is not None:
                others = set(ports_of(ipr, bridge.index)) - {interface, record.tap}
                if others:
                    raise OperatorError(
                        f"{record.bridge} has other ports too ({' '.join(sorted(others))}): take them out"
                    )
                configurer = configurer_of(bridge.name, bridge.index, leased=False)
                if configurer is not None:
                    notes = (f"{configurer} was for {bridge.name}: stop it, and have {interface} configured again",)
                part(ipr, kernel, record, bridge)
        write_record(directory, None)
    return Done(changed=True, notes=notes)


def bridge_name(interface: str) -> str:
    """``tcbr-`` and the interface's name, or the end of a long one."""
    return BRIDGE_PREFIX + interface[-(_MAX_NAME - len(BRIDGE_PREFIX)) :]


def _require_bridgeable(ipr: IPRoute, interface: str, tap: str, record: BridgeRecord | None) -> Link:
    made = (record.bridge, record.interface) if record is not None else ("", "")
    link = require_lan_interface(ipr, interface, tap, *made)
    require_no_bridge(link)
    if is_wireless(interface):
        raise OperatorError(f"{interface} is a Wi-Fi station, which carries no other machine's frames: use a cable")
    return link


def _require_tap(ipr: IPRoute, tap: str) -> Link:
    link = find_link(ipr, tap)
    if link is None:
        raise OperatorError(f"the node's interface {tap} is not here: run this where the node runs, while it runs")
    return link


def _require_left_alone(kernel: RouteSocket, nic: Link, bridge: str) -> tuple[str, ...]:
    """OperatorError where a program configures the interface; otherwise sentences on addresses that will end."""
    leased = [
        a for a in read_configuration(kernel, nic.index).addresses if a.family == _IPV4 and a.ends_in_s is not None
    ]
    configurer = configurer_of(nic.name, nic.index, leased=bool(leased))
    if configurer is not None:
        raise refusal(configurer, nic.name, bridge)
    return tuple(
        f"{address} ends in {address.ends_in_s} s unless it is renewed: run its DHCP client on {bridge}"
        for address in leased
    )


@contextmanager
def _netlink(what: str) -> Iterator[tuple[IPRoute, RouteSocket]]:
    with refusals(what), IPRoute() as ipr, RouteSocket() as kernel:
        yield ipr, kernel
