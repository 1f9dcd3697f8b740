"""The steps that put an interface and a TAP into one bridge, and that take them out again; each knows its undoing.

Addresses and routes are given to the new interface before they are taken from the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from ipaddress import ip_interface
from pathlib import Path

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from treecast.adapters.bridge_record import BridgeRecord, load_record, write_record
from treecast.adapters.interface_configuration import (
    InterfaceAddress,
    InterfaceConfiguration,
    InterfaceRoute,
    add_addresses,
    add_routes,
    address_of,
    delete_addresses,
    delete_routes,
    given,
    labelled,
    narrowed,
    read_configuration,
    route_of,
    widened,
    with_prefix_route,
    without_prefix_route,
)
from treecast.adapters.lan_memory import give_back, static_addresses, static_routes
from treecast.adapters.link import NetworkInterface, find_link
from treecast.adapters.put_back import PutBack
from treecast.adapters.rtnetlink import RouteSocket
from treecast.adapters.sysfs import ipv6_is_off, snoops
from treecast.base.errors import OperatorError
from treecast.base.keep_local import KeepLocal
from treecast.base.storm_control import StormLimits

LAN_MTU = 9000
_LINK_LOCAL_PREFIX = "fe80::/64 "

_IPV4 = 2
_ALIAS = ":tc"
_LABEL_CHARACTERS = 15  # IFNAMSIZ without its end
_CONF = Path("/proc/sys/net")
_INHERITED = (
    *(f"ipv4/conf/{{}}/{name}" for name in ("forwarding", "rp_filter", "accept_redirects", "send_redirects")),
    *(f"ipv4/conf/{{}}/{name}" for name in ("arp_ignore", "arp_announce", "arp_filter", "proxy_arp")),
    *(f"ipv6/conf/{{}}/{name}" for name in ("disable_ipv6", "accept_ra", "autoconf", "forwarding", "use_tempaddr")),
    *(f"ipv6/conf/{{}}/{name}" for name in ("accept_redirects", "accept_dad", "dad_transmits", "router_solicitations")),
)


class BridgeSetUp:
    """One joining of an interface and a TAP, step by step; each step knows its undoing."""

    def __init__(
        self,
        ipr: IPRoute,
        kernel: RouteSocket,
        directory: Path,
        limits: StormLimits,
        recorded: Callable[[], object],
        *,
        forced: bool,
        keep_local: KeepLocal,
    ) -> None:
        self._limits = limits
        self._forced = forced
        self._keep_local = keep_local
        self._recorded = recorded
        self._ipr = ipr
        self._kernel = kernel
        self._directory = directory

    def join(
        self, nic: NetworkInterface, tap: NetworkInterface, name: str, *, lan_too: bool = False, remembered_as: str = ""
    ) -> list[str]:
        """``lan_too``: a bridge that had been deleted gets what the LAN's interface had once, which is returned.
        ``remembered_as``: the interface's name when it was added, where it has another now.
        """
        before = load_record(self._directory)
        configuration = read_configuration(self._kernel, tap.index)
        lan = read_configuration(self._kernel, nic.index)
        given: list[str] = []
        record = BridgeRecord(
            interface=remembered_as or nic.name,
            bridge=name,
            mac=str(nic.mac),
            tap=tap.name,
            tap_mtu=_overlay_mtu(nic, tap, before),
            addresses=[str(address) for address in configuration.addresses],
            routes=[str(route) for route in configuration.routes],
            broadcast_pps=self._limits.broadcast_pps,
            multicast_pps=self._limits.multicast_pps,
            unknown_unicast_pps=self._limits.unknown_unicast_pps,
            forced=self._forced,
            keep_local=self._keep_local.words(),
            lan_addresses=static_addresses(lan),
            lan_routes=static_routes(lan),
        )
        if before is not None and not record.lan_addresses:  # the bridge has them, or had them
            record = msgspec.structs.replace(record, lan_addresses=before.lan_addresses, lan_routes=before.lan_routes)
        if before is not None and (tap.master or not configuration.addresses):  # what it had is with the bridge already
            record = msgspec.structs.replace(
                record, tap_mtu=before.tap_mtu, addresses=before.addresses, routes=before.routes
            )
        elif before is not None:
            record = self._with_left_behind(record, before, name)
        with ExitStack() as undo:
            undo.callback(write_record, self._directory, before)
            write_record(self._directory, record)  # first: whatever happens from here on, remove knows what to do
            self._recorded()
            bridge = self._bridge(undo, nic, name)
            self._join_nic(undo, nic, bridge)
            if lan_too:
                given = give_back(self._kernel, record, bridge)
            self._join_tap(undo, tap, record, bridge, configuration, min(nic.mtu_bytes, LAN_MTU))
            again = find_link(self._ipr, name) if before is not None else None
            if again is not None:  # what the TAP had lost with a bridge that somebody deleted
                put_back(self._kernel, record, again, routes_too=True)
            undo.pop_all()
        return given

    def _with_left_behind(self, record: BridgeRecord, before: BridgeRecord, name: str) -> BridgeRecord:
        """The record with what the bridge still has of the overlay besides, though the TAP was taken out."""
        bridge = find_link(self._ipr, name)
        if bridge is None:
            return record
        left = read_configuration(self._kernel, bridge.index)
        addresses = dict.fromkeys([*record.addresses, *(str(a) for a in overlay_addresses(left, before))])
        routes = dict.fromkeys([*record.routes, *(str(r) for r in overlay_routes(left, before))])
        return msgspec.structs.replace(record, addresses=list(addresses), routes=list(routes))

    def _bridge(self, undo: ExitStack, nic: NetworkInterface, name: str) -> int:
        known = find_link(self._ipr, name)
        if known is not None:
            self._ipr.link("set", index=known.index, kind="bridge", br_mcast_snooping=0)
            return known.index
        self._ipr.link(
            "add",
            ifname=name,
            kind="bridge",
            address=str(nic.mac),
            mtu=nic.mtu_bytes,
            br_stp_state=0,
            br_forward_delay=0,
            br_mcast_snooping=0,  # a bridge that snoops sends our reports to one querier only; the node filters
        )
        made = find_link(self._ipr, name)
        if made is None:
            raise OperatorError(f"the bridge {name} vanished while it was set up: try again")
        undo.callback(_quietly(lambda: self._ipr.link("del", index=made.index)))
        _inherit(nic.name, name)
        self._ipr.link("set", index=made.index, state="up")
        return made.index

    def _join_nic(self, undo: ExitStack, nic: NetworkInterface, bridge: int) -> None:
        configuration = read_configuration(self._kernel, nic.index)
        undo.callback(_quietly(lambda: add_routes(self._kernel, nic.index, configuration.routes)))
        undo.callback(_quietly(lambda: add_addresses(self._kernel, nic.index, configuration.addresses)))
        add_addresses(self._kernel, bridge, configuration.addresses)
        if nic.master != bridge:
            undo.callback(_quietly(lambda: self._ipr.link("set", index=nic.index, master=0)))
            self._ipr.link("set", index=nic.index, master=bridge, state="up")
        add_routes(self._kernel, bridge, configuration.routes)
        delete_routes(self._kernel, nic.index, configuration.routes)
        delete_addresses(self._kernel, nic.index, configuration.addresses)

    def _join_tap(
        self,
        undo: ExitStack,
        tap: NetworkInterface,
        record: BridgeRecord,
        bridge: int,
        configuration: InterfaceConfiguration,
        mtu_bytes: int,
    ) -> None:
        undo.callback(_quietly(lambda: add_routes(self._kernel, tap.index, configuration.routes)))
        undo.callback(_quietly(lambda: add_addresses(self._kernel, tap.index, configuration.addresses)))
        overlay_mtu, source = record.tap_mtu, _first_ipv4(configuration.addresses)
        add_addresses(self._kernel, bridge, [_overlays(address, record.bridge) for address in configuration.addresses])
        add_routes(self._kernel, bridge, [narrowed(r, overlay_mtu, _source(r, source)) for r in configuration.routes])
        if tap.master != bridge:
            undo.callback(_quietly(lambda: self._ipr.link("set", index=tap.index, mtu=overlay_mtu)))
            undo.callback(_quietly(lambda: self._ipr.link("set", index=tap.index, master=0)))
            self._ipr.link("set", index=tap.index, mtu=mtu_bytes)
            self._ipr.link("set", index=tap.index, master=bridge)
        delete_routes(self._kernel, tap.index, configuration.routes)
        delete_addresses(self._kernel, tap.index, configuration.addresses)


def part(ipr: IPRoute, kernel: RouteSocket, record: BridgeRecord, bridge: NetworkInterface, interface: str) -> None:
    """``interface``: as the one of the record is called now."""
    nic, tap = find_link(ipr, interface), find_link(ipr, record.tap)
    configuration = read_configuration(kernel, bridge.index)
    overlay, routes = overlay_addresses(configuration, record), overlay_routes(configuration, record)
    own = [address for address in configuration.addresses if address not in overlay]
    own_routes = [route for route in configuration.routes if route not in routes]
    with ExitStack() as undo:
        if nic is not None:
            undo.callback(_quietly(lambda: delete_addresses(kernel, nic.index, own)))
            add_addresses(kernel, nic.index, own)
            undo.callback(_quietly(lambda: ipr.link("set", index=nic.index, master=bridge.index)))
            ipr.link("set", index=nic.index, master=0)
            undo.callback(_quietly(lambda: delete_routes(kernel, nic.index, map(given, own_routes))))
            add_routes(kernel, nic.index, own_routes)
        if tap is not None and tap.master == bridge.index:
            undo.callback(_quietly(lambda: ipr.link("set", index=tap.index, master=bridge.index, mtu=tap.mtu_bytes)))
            ipr.link("set", index=tap.index, master=0)
            ipr.link("set", index=tap.index, mtu=record.tap_mtu)
            add_addresses(kernel, tap.index, [with_prefix_route(address) for address in overlay])
            add_routes(kernel, tap.index, [widened(route) for route in routes if not route.is_connected])
        ipr.link("del", index=bridge.index)
        undo.pop_all()


def give_overlay_back(ipr: IPRoute, kernel: RouteSocket, record: BridgeRecord, tap: NetworkInterface) -> None:
    """The TAP has again what it had before it was in a bridge that somebody has deleted since."""
    ipr.link("set", index=tap.index, mtu=record.tap_mtu)
    addresses = [with_prefix_route(address_of(text)) for text in record.addresses]
    add_addresses(kernel, tap.index, addresses)
    connected = {str(ip_interface(str(address)).network) for address in addresses}
    routes = [text for text in record.routes if text.split()[0] not in connected]
    add_routes(kernel, tap.index, [route_of(text, tap.index, connected=False) for text in routes])


def _overlay_mtu(nic: NetworkInterface, tap: NetworkInterface, before: BridgeRecord | None) -> int:
    """The TAP's own. One that was in a bridge, and was taken out by others, still has the LAN's."""
    left_behind = before is not None and tap.mtu_bytes == min(nic.mtu_bytes, LAN_MTU)
    return before.tap_mtu if before is not None and left_behind else tap.mtu_bytes


def put_back(kernel: RouteSocket, record: BridgeRecord, bridge: NetworkInterface, *, routes_too: bool) -> PutBack:
    """Gives the bridge what it has lost of the overlay's addresses, and of its routes: a DHCP client may flush them,
    and takes all of them for its own. ``routes_too``: even if no address is missing.
    """
    configuration = read_configuration(kernel, bridge.index)
    addresses, routes = set(map(str, configuration.addresses)), set(map(str, configuration.routes))
    no_ipv6 = ipv6_is_off(bridge.name)
    lost = [address_of(text) for text in record.addresses if text not in addresses and not (no_ipv6 and ":" in text)]
    add_addresses(kernel, bridge.index, [_overlays(address, record.bridge) for address in lost])
    known = [address_of(text) for text in record.addresses]
    connected = {str(ip_interface(str(address)).network) for address in known}
    source = _first_ipv4(known)
    if not lost and not routes_too:
        return PutBack(bridge.name)
    missing = [text for text in record.routes if text not in routes and not text.startswith(_LINK_LOCAL_PREFIX)]
    if no_ipv6:
        missing = [text for text in missing if ":" not in text]
    for text in missing:
        route = route_of(text, bridge.index, connected=text.split()[0] in connected)
        add_routes(kernel, bridge.index, [narrowed(route, record.tap_mtu, _source(route, source))])
    return PutBack(bridge.name, tuple(map(str, lost)), tuple(text.split()[0] for text in missing))


def stop_snooping(ipr: IPRoute, bridge: NetworkInterface) -> tuple[str, ...]:
    """A bridge that snoops sends the node's reports to one querier only; the node filters. Returns what was wrong."""
    if not snoops(bridge.name):
        return ()
    ipr.link("set", index=bridge.index, kind="bridge", br_mcast_snooping=0)
    return ("mcast_snooping 1",)


def _overlays(address: InterfaceAddress, bridge: str) -> InterfaceAddress:
    """The address as the bridge has it: labelled as an alias, by which programs find the interface (netdevice(7)).

    A name that is too long for an alias is the label itself.
    """
    return labelled(without_prefix_route(address), f"{bridge}{_ALIAS}"[:_LABEL_CHARACTERS])


def overlay_addresses(configuration: InterfaceConfiguration, record: BridgeRecord) -> list[InterfaceAddress]:
    return [address for address in configuration.addresses if str(address) in record.addresses]


def overlay_routes(configuration: InterfaceConfiguration, record: BridgeRecord) -> list[InterfaceRoute]:
    """The link-local prefix is both's: the bridge's own route serves."""
    return [
        route
        for route in configuration.routes
        if str(route) in record.routes and not str(route).startswith(_LINK_LOCAL_PREFIX)
    ]


def _first_ipv4(addresses: Iterable[InterfaceAddress]) -> bytes | None:
    return next((address.packed for address in addresses if address.family == _IPV4), None)


def _source(route: InterfaceRoute, ipv4: bytes | None) -> bytes | None:
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
