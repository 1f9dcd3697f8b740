"""Faults of a LAN's port: its interface down or unplugged, its bridge not as ``bridge.json`` has it.

A few system calls for each interface, no netlink.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

from treecast.adapters.bridge_record import BridgeRecord
from treecast.adapters.netdevice import IFF_RUNNING, IFF_UP, flags_of, index_of, is_own_address
from treecast.adapters.sysfs import bridge_port, ipv6_is_off, ipv6_switch, master_of, snoops
from treecast.base.problems import Problem
from treecast.base.time import Duration

_FORWARDING = 3  # BR_STATE_FORWARDING (linux/if_bridge.h)
_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
_FLOODS = (("multicast_flood", "mcast_flood"), ("unicast_flood", "flood"), ("broadcast_flood", "bcast_flood"))
"""The names in sysfs and those of bridge(8)."""

GRACE: Duration = 3.0
"""``bridge add`` is done by then, and a cable that was put into another socket carries again."""


def lan_down(lan: str, bridge: str = "") -> Iterator[Problem]:
    """``lan``: the interface that leads to the LAN; ``bridge``: what it is in, empty for a packet port."""
    lost = f"so the LAN of {lan} is not carried"
    for name in (bridge, lan) if bridge else (lan,):
        flags = flags_of(name)
        if not index_of(name):
            return  # and that is said already
        if not flags & IFF_UP:
            yield Problem("lan_down", name, f"{name} is down, {lost}: ip link set {name} up", patience=GRACE)
            return
    if not flags & IFF_RUNNING:
        advice = "see to its cable, and to what is at the other end of it"
        yield Problem("lan_down", lan, f"{lan} is unplugged (it has no carrier), {lost}: {advice}", patience=GRACE)


def taken_apart(record: BridgeRecord, interface: str, tap: str) -> str:
    """A sentence's beginning on a bridge whose LAN is not carried for it; empty for none. ``interface``: now."""
    masters = {name: master_of(name) for name in (interface, tap)}
    lost = f"so the LAN of {interface} is not carried"
    for name, master in masters.items():
        if master is None:
            return f"{name}, a port of {record.bridge}, is gone, {lost}"
    if not index_of(record.bridge):
        own = _missing(record.lan_addresses)
        return f"{record.bridge} is gone, and with it this machine's addresses on the LAN{own and f' ({own})'}, {lost}"
    for name, master in masters.items():
        if master != record.bridge:
            return f"{name} is not in {record.bridge}, {lost}"
    return ""


def port_silent(interface: str, tap: str) -> str:
    """A sentence on a port of the bridge that does not forward; empty for none. One without a carrier never does."""
    for name in (interface, tap):
        state = bridge_port(name, "state")
        if state is not None and state != _FORWARDING and flags_of(name) & IFF_RUNNING:
            called = _STATES[state] if state < len(_STATES) else str(state)
            spanning_tree = ", or wait where STP is on" if called in ("listening", "learning") else ""
            command = f"bridge link set dev {name} state {_FORWARDING}{spanning_tree}"
            return f"port {name} of the bridge is {called}, so the LAN of {interface} is not carried: {command}"
    if bridge_port(interface, "isolated") and bridge_port(tap, "isolated"):
        both = f"{interface} and {tap} are isolated from each other, so the LAN of {interface} is not carried"
        return f"{both}: bridge link set dev {tap} isolated off"
    return ""


def port_filters(interface: str, tap: str) -> str:
    """A sentence on a port of the bridge that keeps back what it should flood; empty for none."""
    for name in (interface, tap):
        for attribute, word in _FLOODS:
            if bridge_port(name, attribute) == 0:
                return (
                    f"port {name} of the bridge has {word} off, so the LAN of {interface} is not carried whole: "
                    f"bridge link set dev {name} {word} on"
                )
    return ""


def changed(record: BridgeRecord) -> str:
    """A sentence's beginning on a bridge that carries its LAN, and is not as it was made; empty for none. One that is
    down has no IPv6 addresses, and gets them back when it is up.
    """
    if not flags_of(record.bridge) & IFF_UP:
        return ""
    if snoops(record.bridge):
        return f"{record.bridge} snoops (mcast_snooping 1), so it keeps groups from queriers and hosts of the LAN"
    no_ipv6 = ipv6_is_off(record.bridge)
    own = _missing([text for text in record.addresses if not (no_ipv6 and ":" in text)])
    if own:
        return f"{record.bridge} has lost this machine's {own} of the overlay (did a DHCP client flush it?)"
    return ""


def ipv6_switched_off(record: BridgeRecord, interface: str) -> str:
    """A sentence on IPv6 that is off on the bridge but not on its LAN's interface, as it was made; empty for none."""
    own = [text for text in record.addresses if ":" in text and not ip_interface(text).is_link_local]
    if not own or not ipv6_is_off(record.bridge) or ipv6_is_off(interface):
        return ""
    text = f"IPv6 is off on {record.bridge}, so this machine has no {' '.join(own)} of the overlay"
    return f"{text}: {ipv6_switch(record.bridge)}"


def _missing(addresses: list[str]) -> str:
    """The addresses that no interface of this machine has."""
    known = [ip_interface(text).ip for text in addresses]
    return " ".join(str(address) for address in known if not address.is_link_local and not is_own_address(address))


def renamed(directory: Path, before: str, now: str, *options: str, found: bool = True) -> Problem:
    """The problem of a renamed interface that leads to a LAN, which is carried under any name. ``directory``: the
    node's; ``options``: with which the interface was added; ``found``: the node's next start finds it. Its old name may
    be another interface's by now.
    """
    seekers = "programs" if found else "the node's next start and programs"
    text = f"{before} is called {now} now; its LAN is carried, but {seekers} look for {before}"
    add = " ".join(("treecast bridge add", str(directory), now, *options))
    if index_of(before):
        text = f"{before} is, by its MAC, called {now} now, and another interface {before}; the LAN of {now} is carried"
        other = f"to carry that of {before} instead, treecast bridge remove {directory} {now}, and add {before}"
        text = f"{text}, as before: {add} has the node remember {now}; {other}"
        return Problem("interface_renamed", now, text, patience=GRACE)
    adopt = f"{add} has the node remember {now}, and this gives it its old name back"
    command = f"ip link set {now} down && ip link set {now} name {before} && ip link set {before} up"
    return Problem("interface_renamed", now, f"{text}; {adopt}: {command}", patience=GRACE)
