"""The program that configures an interface: a DHCP client, NetworkManager, systemd-networkd, ConnMan, wicked.

Bridging takes an interface's addresses to another one. A program that renews them would go on with the old one, and the
machine loses them when the lease ends. Addresses that the kernel made of router advertisements are no concern: the
bridge receives those too (RFC 4862 section 5.5.3).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from treecast.base.errors import OperatorError

PROC = Path("/proc")
NETWORKD_LINKS = Path("/run/systemd/netif/links")
NETWORK_MANAGER_DEVICES = Path("/run/NetworkManager/devices")

CONNMAN_SETTINGS = Path("/etc/connman/main.conf")
WICKED_INTERFACES = Path("/etc/sysconfig/network")

_OF_ALL_INTERFACES = ("dhclient", "dhcpcd", "dhcp6c", "dibbler-client")
_OF_ETH0 = ("udhcpc", "udhcpc6", "pump", "ifplugd")
"""Clients of eth0 if no interface is named: busybox's, Red Hat's, and what runs ifup when the cable is plugged in."""
_OF_THOSE_NAMED = ("odhcp6c", "avahi-autoipd", "zcip", "netplugd")

_NETWORKD, _NETWORK_MANAGER, _CONNMAN, _WICKED = "systemd-networkd", "NetworkManager", "connmand", "wickedd"
_CONNMANS_BLACKLIST = "vmnet,vboxnet,virbr,ifb,ve-,vb-"
"""NetworkInterfaceBlacklist, beginnings of names, where the settings have none."""
_CLIENT_PORT = ":0044"
"""68, as /proc/net/udp has it: whichever DHCP client holds a lease waits there (RFC 2131 section 4.1)."""

_MAX_COMMAND_LINE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Configurer:
    """A program that gives an interface its addresses. ``pid`` 0: not found, but its socket is there."""

    program: str
    pid: int = 0

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})" if self.pid else self.program


def configurer_of(interface: str, index: int, *, leased: bool) -> Configurer | None:
    """The program that configures this interface. ``leased``: it has an IPv4 address that ends some time."""
    there = {name for _, name in socket.if_nameindex()}
    clients: list[Configurer] = []
    for pid, words in _neighbours():
        program = _program(words)
        known = Configurer(program, pid)
        if program == _NETWORKD and _is_networkds(index):
            return known
        if program == _NETWORK_MANAGER and _is_network_managers(index):
            return known
        if program == _CONNMAN and is_connmans(words, interface):
            return known
        if program == _WICKED and (WICKED_INTERFACES / f"ifcfg-{interface}").exists():
            return known
        if serves(words, interface, there):
            clients.append(known)
    if clients:
        return clients[0]
    return Configurer("a DHCP client") if leased and _somebody_waits_for_dhcp() else None


def serves(words: list[str], interface: str, there: Set[str]) -> bool:
    """Whether this is the command line of a DHCP client for the interface: it names it, or none of those that exist."""
    program = _program(words)
    if program not in _OF_ALL_INTERFACES + _OF_ETH0 + _OF_THOSE_NAMED:
        return False
    patterns = [name for word in words for name in (word, _after_flags(word), word.rpartition("=")[2])]
    named = {name for name in there if any(fnmatchcase(name, pattern.strip("[]:")) for pattern in patterns)}
    if named:
        return interface in named
    return program in _OF_ALL_INTERFACES or (program in _OF_ETH0 and interface == "eth0")


def _after_flags(word: str) -> str:
    """The name in -ieth1, which flags without a value may precede: -bieth1."""
    bundled = re.fullmatch(r"-[A-Za-z0-9]*?i(.+)", word)
    return bundled[1] if bundled else word


def is_connmans(words: list[str], interface: str) -> bool:
    """Whether ConnMan with this command line has the interface: all but those that it is told to leave alone."""
    only, never = _option(words, "-i", "--device"), _option(words, "-I", "--nodevice")
    if only and not any(fnmatchcase(interface, pattern) for pattern in only):
        return False
    left_alone = _fields(CONNMAN_SETTINGS).get("NetworkInterfaceBlacklist", _CONNMANS_BLACKLIST).split(",")
    is_left_alone = any(interface.startswith(name.strip()) for name in left_alone if name.strip())
    return not is_left_alone and not any(fnmatchcase(interface, pattern) for pattern in never)


def _option(words: list[str], short: str, long: str) -> list[str]:
    """The comma-separated values of an option: -i a,b, -ia,b, --device a,b or --device=a,b."""
    values: list[str] = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in (short, long):
            values += following.split(",")
        elif word.startswith(f"{long}="):
            values += word.partition("=")[2].split(",")
        elif word.startswith(short) and not word.startswith("--"):
            values += word.removeprefix(short).split(",")
    return values


def refusal(configurer: Configurer, interface: str, bridge: str) -> OperatorError:
    """Why the interface is not bridged, and what to do."""
    if configurer.program in (_NETWORKD, _NETWORK_MANAGER):
        advice = (
            f"have it configure {bridge} instead and leave {interface} unmanaged, as docs/switch-mode.md shows, and "
            "give --force"
        )
    elif configurer.program == _CONNMAN:
        advice = (
            f"have it leave {interface} alone (connmand --nodevice, or NetworkInterfaceBlacklist in its main.conf), "
            f"give {interface} its addresses by other means and add it again (or give --force)"
        )
    elif configurer.program == _WICKED:
        advice = (
            f"have it configure {bridge} instead (ifcfg-{bridge} in place of ifcfg-{interface}, without BRIDGE=), and "
            "give --force"
        )
    else:
        advice = f"stop it, add {interface}, and run it on {bridge} then (or give --force)"
    return OperatorError(
        f"{configurer} configures {interface} and would go on with that while the addresses are on {bridge}, until "
        f"they are lost: {advice}"
    )


def _neighbours() -> Iterator[tuple[int, list[str]]]:
    """The processes of this network namespace, with their command lines, the longest running first."""
    here = (PROC / "thread-self/ns/net").stat()
    for pid in sorted(int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()):
        try:
            with (PROC / str(pid) / "cmdline").open("rb") as file:
                line = file.read(_MAX_COMMAND_LINE_BYTES)
            namespace = (PROC / str(pid) / "ns/net").stat() if line else None
        except OSError:  # it has just ended, or is not ours to look at
            continue
        if namespace is not None and (namespace.st_dev, namespace.st_ino) == (here.st_dev, here.st_ino):
            # dhcpcd writes its state there: "dhcpcd: eth0 [ip4]"
            yield pid, line.replace(b"\0", b" ").decode(errors="replace").split()


def _program(words: list[str]) -> str:
    names = [word.rpartition("/")[2].rstrip(":") for word in words[:2]]
    return names[1] if names[:1] == ["busybox"] and len(names) > 1 else names[0] if names else ""


def _is_networkds(index: int) -> bool:
    state = _fields(NETWORKD_LINKS / str(index)).get("ADMIN_STATE", "unmanaged")
    return state != "unmanaged"


def _is_network_managers(index: int) -> bool:
    return _fields(NETWORK_MANAGER_DEVICES / str(index)).get("managed") == "true"


def _fields(path: Path) -> dict[str, str]:
    """``NAME=VALUE`` lines; none where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _somebody_waits_for_dhcp() -> bool:
    try:
        lines = (PROC / "thread-self/net/udp").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    return any(words[1].endswith(_CLIENT_PORT) for words in map(str.split, lines) if len(words) > 1)
