"""Properties of interfaces and bridges in /sys/class/net: a few files, no netlink."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

SYSFS = Path("/sys/class/net")
_IPV6_CONF = Path("/proc/sys/net/ipv6/conf")


def master_of(name: str) -> str | None:
    """The bridge or bond that an interface is in, empty for none; None when there is no such interface."""
    if not (SYSFS / name).exists():
        return None
    master = SYSFS / name / "master"
    return master.readlink().name if master.is_symlink() else ""


NEW_INTERFACES = "default"
"""The name under which the kernel has the switches of interfaces that are made from now on."""


def ipv6_is_off(name: str) -> bool:
    """Whether somebody has switched IPv6 off on this interface: the kernel then refuses its addresses and routes."""
    try:
        return (_IPV6_CONF / name / "disable_ipv6").read_text(encoding="ascii").strip() == "1"
    except OSError:  # no IPv6 at all, or an MTU that is too small for it
        return False


def ipv6_switch(name: str) -> str:
    """The command that switches it on again."""
    return f"sysctl -w net.ipv6.conf.{name}.disable_ipv6=0"


def snoops(bridge: str) -> bool:
    """Whether a bridge looks into IGMP and MLD itself."""
    try:
        return (SYSFS / bridge / "bridge/multicast_snooping").read_text(encoding="ascii").strip() == "1"
    except OSError:  # a kernel without it, or no bridge
        return False


def bridge_port(name: str, attribute: str) -> int | None:
    """An attribute of an interface as a bridge's port (``bridge link`` has it under the same or a like name); None when
    it is none, or the kernel has no such attribute.
    """
    try:
        return int((SYSFS / name / "brport" / attribute).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def called_now(interface: str, bridge: str, mac: str) -> str:
    """The name of a bridge's port that was called ``interface`` and has this MAC: it may have been renamed since, its
    old name be another's, and its bridge be gone.
    """
    ports = SYSFS / bridge / "brif"
    if has_mac(interface, mac) or (ports / interface).exists():
        return interface
    for port in sorted(ports.iterdir()) if ports.is_dir() else ():
        if has_mac(port.name, mac):
            return port.name
    alone = alone_with_mac(mac)
    return alone[0] if len(alone) == 1 else interface


def alone_with_mac(mac: str) -> list[str]:
    """The interfaces of this MAC that stand alone."""
    return sorted(entry.name for entry in SYSFS.iterdir() if has_mac(entry.name, mac) and _stands_alone(entry))


def distinct_mac(name: str) -> str:
    """The MAC of an interface that stands alone, by which it may be known again; empty for any other."""
    if not _stands_alone(SYSFS / name):
        return ""
    with suppress(OSError):
        return (SYSFS / name / "address").read_text(encoding="ascii").strip()
    return ""


def has_mac(name: str, mac: str) -> bool:
    """False where there is no such interface."""
    with suppress(OSError):
        return (SYSFS / name / "address").read_text(encoding="ascii").strip() == mac
    return False


def _stands_alone(entry: Path) -> bool:
    """Whether it is no bridge, nor in one, nor made on top of another interface, whose MAC it may have."""
    made_of = any(entry.glob("lower_*"))
    return not made_of and not (entry / "bridge").exists() and not (entry / "master").exists()


def is_wireless(name: str) -> bool:
    """A Wi-Fi station sends frames of its own MAC only (IEEE 802.11 clause 9.3.2.1: three addresses)."""
    return any((SYSFS / name / entry).exists() for entry in ("wireless", "phy80211"))


def sends_own_frames_only(name: str) -> bool:
    """Whether it cannot be bridged: a Wi-Fi station, or a Bluetooth personal area network."""
    try:
        kinds = (SYSFS / name / "uevent").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        kinds = []
    return is_wireless(name) or "DEVTYPE=bluetooth" in kinds
