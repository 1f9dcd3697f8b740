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
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from treecast.adapters.bridge_record import BridgeRecord, load_record, locked, write_record
from treecast.adapters.carried import (
    Address,
    Carried,
    Route,
    give_addresses,
    give_routes,
    narrowed,
    read_carried,
    take_addresses,
    take_routes,
    widened,
    with_prefix_route,
    without_prefix_route,
)
from treecast.adapters.link import (
    Link,
    find_link,
    is_wireless,
    ports_of,
    read_link,
    refusals,
    require_lan_interface,
)
from treecast.adapters.rtnetlink import RouteSocket
from treecast.base.errors import OperatorError
from treecast.base.storm import StormLimits

BRIDGE_PREFIX = "tcbr-"
LAN_MTU = 9000

_MAX_NAME = 15  # IFNAMSIZ without its final zero
_MULTICAST_ROUTER_PERMANENT = 2  # bridge(8): mcast_router 2
_IPV4 = 2
_CONF = Path("/proc/sys/net")
_INHERITED = (
    *(f"ipv4/conf/{{}}/{name}" for name in ("forwarding", "rp_filter", "accept_redirects", "send_redirects")),
    *(f"ipv4/conf/{{}}/{name}" for name in ("arp_ignore", "arp_announce", "arp_filter", "proxy_arp")),
    *(f"ipv6/conf/{{}}/{name}" for name in ("disable_ipv6", "accept_ra", "autoconf", "forwarding", "use_tempaddr")),
    *(f"ipv6/conf/{{}}/{name}" for name in ("accept_redirects", "accept_dad", "dad_transmits", "router_solicitations")),
)


def bridge_add(directory: Path, tap: str, interface: str, limits: StormLimits, recorded: Callable[[], object]) -> bool:
    """Bridges ``interface`` with the running node's TAP; False when that is done already. OperatorError.

    ``recorded`` is called when ``bridge.json`` says so and nothing is done yet: the node blocks its port before a
    second way to the LAN can close a loop.
    """
    with locked(directory), _netlink(f"bridge {interface}") as (ipr, kernel):
        record = load_record(directory)
        if record is not None and record.interface != interface:
            raise OperatorError(f"this node bridges {record.interface} already: remove that first")
        nic, own = _require_bridgeable(ipr, interface, tap), _require_tap(ipr, tap)
        name = bridge_name(interface)
        bridge = find_link(ipr, name)
        if record is not None and bridge is not None and nic.master == own.master == bridge.index:
            return False
        if bridge is not None and record is None:
            raise OperatorError(f"there is an interface {name} already: remove it with ip link del {name}")
        if nic.master and (bridge is None or nic.master != bridge.index):
            raise OperatorError(f"{interface} is in {read_link(ipr, nic.master).name} already: take it out first")
        _Joining(ipr, kernel, directory, limits, recorded).join(nic, own, name)
    return True


def bridge_again(directory: Path, tap: str) -> BridgeRecord | None:
    """At the node's start, its TAP just configured: bridges what ``bridge.json`` says. OperatorError; the TAP stays."""
    with locked(directory):
        record = load_record(directory)
        if record is None:
            return None
        with _netlink(f"bridge {record.interface}") as (ipr, kernel):
            nic, own = _require_bridgeable(ipr, record.interface, tap), _require_tap(ipr, tap)
            bridge = find_link(ipr, record.bridge)
            if nic.master and (bridge is None or nic.master != bridge.index):
                raise OperatorError(f"{nic.name} is in {read_link(ipr, nic.master).name} already: take it out first")
            _Joining(ipr, kernel, directory, record.limits(), lambda: None).join(nic, own, record.bridge)
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
            carried = read_carried(kernel, bridge.index)
            take_routes(kernel, bridge.index, _overlay_routes(carried, record))
            take_addresses(kernel, bridge.index, _overlay_addresses(carried, record))


def bridge_remove(directory: Path, interface: str) -> bool:
    """Undoes ``bridge_add``, whether the node runs or not; False when there is nothing to undo. OperatorError."""
    with locked(directory):
        record = load_record(directory)
        if record is None:
            return False
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
                _part(ipr, kernel, record, bridge)
        write_record(directory, None)
    return True


def bridge_name(interface: str) -> str:
    """``tcbr-`` and the interface's name, or the end of a long one."""
    return BRIDGE_PREFIX + interface[-(_MAX_NAME - len(BRIDGE_PREFIX)) :]


def _require_bridgeable(ipr: IPRoute, interface: str, tap: str) -> Link:
    link = require_lan_interface(ipr, interface, tap)
    if link.kind == "bridge":
        raise OperatorError(f"{interface} is a bridge itself, and a bridge cannot be in another: name a port of it")
    if is_wireless(interface):
        raise OperatorError(f"{interface} is a Wi-Fi station, which carries no other machine's frames: use a cable")
    return link


def _require_tap(ipr: IPRoute, tap: str) -> Link:
    link = find_link(ipr, tap)
    if link is None:
        raise OperatorError(f"the node's interface {tap} is not here: run this where the node runs, while it runs")
    return link


class _Joining:
    """One joining of an interface and a TAP, step by step; each step knows its undoing."""

    def __init__(
        self, ipr: IPRoute, kernel: RouteSocket, directory: Path, limits: StormLimits, recorded: Callable[[], object]
    ) -> None:
        self._limits = limits
        self._recorded = recorded
        self._ipr = ipr
        self._kernel = kernel
        self._directory = directory

    def join(self, nic: Link, tap: Link, name: str) -> None:
        before = load_record(self._directory)
        carried = read_carried(self._kernel, tap.index)
        record = BridgeRecord(
            interface=nic.name,
            bridge=name,
            mac=str(nic.mac),
            tap=tap.name,
            tap_mtu=tap.mtu_bytes,
            addresses=[str(address) for address in carried.addresses],
            routes=[str(route) for route in carried.routes],
            broadcast_pps=self._limits.broadcast_pps,
            multicast_pps=self._limits.multicast_pps,
            unknown_unicast_pps=self._limits.unknown_unicast_pps,
        )
        if tap.master and before is not None:  # it is in place already, and what it had is with the bridge
            record = msgspec.structs.replace(
                record, tap_mtu=before.tap_mtu, addresses=before.addresses, routes=before.routes
            )
        with ExitStack() as undo:
            undo.callback(write_record, self._directory, before)
            write_record(self._directory, record)  # first: whatever happens from here on, remove knows what to do
            self._recorded()
            bridge = self._bridge(undo, nic, name)
            self._join_nic(undo, nic, bridge)
            self._join_tap(undo, tap, bridge, carried, min(nic.mtu_bytes, LAN_MTU))
            undo.pop_all()

    def _bridge(self, undo: ExitStack, nic: Link, name: str) -> int:
        known = find_link(self._ipr, name)
        if known is not None:
            return known.index
        self._ipr.link(
            "add",
            ifname=name,
            kind="bridge",
            address=str(nic.mac),
            mtu=nic.mtu_bytes,
            br_stp_state=0,
            br_forward_delay=0,
            br_mcast_snooping=1,
            br_mcast_querier=0,
        )
        made = find_link(self._ipr, name)
        if made is None:
            raise OperatorError(f"the bridge {name} vanished while it was set up: try again")
        undo.callback(_quietly(lambda: self._ipr.link("del", index=made.index)))
        _inherit(nic.name, name)
        self._ipr.link("set", index=made.index, state="up")
        return made.index

    def _join_nic(self, undo: ExitStack, nic: Link, bridge: int) -> None:
        carried = read_carried(self._kernel, nic.index)
        undo.callback(_quietly(lambda: give_routes(self._kernel, nic.index, carried.routes)))
        undo.callback(_quietly(lambda: give_addresses(self._kernel, nic.index, carried.addresses)))
        give_addresses(self._kernel, bridge, carried.addresses)
        if nic.master != bridge:
            undo.callback(_quietly(lambda: self._ipr.link("set", index=nic.index, master=0)))
            self._ipr.link("set", index=nic.index, master=bridge, state="up")
        give_routes(self._kernel, bridge, carried.routes)
        take_routes(self._kernel, nic.index, carried.routes)
        take_addresses(self._kernel, nic.index, carried.addresses)

    def _join_tap(self, undo: ExitStack, tap: Link, bridge: int, carried: Carried, mtu_bytes: int) -> None:
        undo.callback(_quietly(lambda: give_routes(self._kernel, tap.index, carried.routes)))
        undo.callback(_quietly(lambda: give_addresses(self._kernel, tap.index, carried.addresses)))
        overlay_mtu, source = tap.mtu_bytes, _first_ipv4(carried.addresses)
        give_addresses(self._kernel, bridge, [without_prefix_route(address) for address in carried.addresses])
        give_routes(self._kernel, bridge, [narrowed(r, overlay_mtu, _source(r, source)) for r in carried.routes])
        if tap.master != bridge:
            undo.callback(_quietly(lambda: self._ipr.link("set", index=tap.index, mtu=overlay_mtu)))
            undo.callback(_quietly(lambda: self._ipr.link("set", index=tap.index, master=0)))
            self._ipr.link("set", index=tap.index, mtu=mtu_bytes)
            self._ipr.link("set", index=tap.index, master=bridge)
        # All groups and all reports come to the TAP, whoever is querier: the node decides what travels on.
        self._ipr.brport("set", index=tap.index, multicast_router=_MULTICAST_ROUTER_PERMANENT)
        take_routes(self._kernel, tap.index, carried.routes)
        take_addresses(self._kernel, tap.index, carried.addresses)


def _part(ipr: IPRoute, kernel: RouteSocket, record: BridgeRecord, bridge: Link) -> None:
    nic, tap = find_link(ipr, record.interface), find_link(ipr, record.tap)
    carried = read_carried(kernel, bridge.index)
    overlay, overlay_routes = _overlay_addresses(carried, record), _overlay_routes(carried, record)
    own = [address for address in carried.addresses if address not in overlay]
    own_routes = [route for route in carried.routes if route not in overlay_routes]
    with ExitStack() as undo:
        if nic is not None:
            undo.callback(_quietly(lambda: take_addresses(kernel, nic.index, own)))
            give_addresses(kernel, nic.index, own)
            undo.callback(_quietly(lambda: ipr.link("set", index=nic.index, master=bridge.index)))
            ipr.link("set", index=nic.index, master=0)
            undo.callback(_quietly(lambda: take_routes(kernel, nic.index, own_routes)))
            give_routes(kernel, nic.index, own_routes)
        if tap is not None and tap.master == bridge.index:
            undo.callback(_quietly(lambda: ipr.link("set", index=tap.index, master=bridge.index, mtu=tap.mtu_bytes)))
            ipr.link("set", index=tap.index, master=0)
            ipr.link("set", index=tap.index, mtu=record.tap_mtu)
            give_addresses(kernel, tap.index, [with_prefix_route(address) for address in overlay])
            give_routes(kernel, tap.index, [widened(route) for route in overlay_routes if not route.is_connected])
        ipr.link("del", index=bridge.index)
        undo.pop_all()


def _overlay_addresses(carried: Carried, record: BridgeRecord) -> list[Address]:
    return [address for address in carried.addresses if str(address) in record.addresses]


def _overlay_routes(carried: Carried, record: BridgeRecord) -> list[Route]:
    """The link-local prefix is both's: the bridge's own route serves."""
    return [
        route for route in carried.routes if str(route) in record.routes and not str(route).startswith("fe80::/64 ")
    ]


def _first_ipv4(addresses: tuple[Address, ...]) -> bytes | None:
    return next((address.packed for address in addresses if address.family == _IPV4), None)


def _source(route: Route, ipv4: bytes | None) -> bytes | None:
    """A stream of this machine's own keeps the source address that it has without a bridge."""
    return ipv4 if route.family == _IPV4 else None


def _inherit(interface: str, bridge: str) -> None:
    """The interface's settings go with its addresses. The link-local address is given, not made."""
    for path in _INHERITED:
        with suppress(OSError):  # no IPv6 here, or a kernel without this setting
            (_CONF / path.format(bridge)).write_text((_CONF / path.format(interface)).read_text())
    with suppress(OSError):
        (_CONF / f"ipv6/conf/{bridge}/addr_gen_mode").write_text("1")


def _quietly(action: Callable[[], object]) -> Callable[[], None]:
    """An undoing that fails does not keep the others from being done."""

    def attempt() -> None:
        with suppress(NetlinkError, OSError):
            action()

    return attempt


@contextmanager
def _netlink(what: str) -> Iterator[tuple[IPRoute, RouteSocket]]:
    with refusals(what), IPRoute() as ipr, RouteSocket() as kernel:
        yield ipr, kernel
