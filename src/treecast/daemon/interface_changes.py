"""Changes by hand on the node's interface, as problems with the command that puts each back.

A change that does no harm is none: allmulticast, promiscuity, a smaller MTU that IPv6 can live with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from treecast.adapters.interface import IPV6_MTU, Settings, own_addresses
from treecast.adapters.netdevice import IFF_MULTICAST, IFF_NOARP, flags_of, mac_of, mtu_of
from treecast.adapters.sysfs import master_of
from treecast.base.addresses import IPAddress, IPNetwork, MacAddress
from treecast.base.problems import Problem

LONGEST_MTU = 9000
"""Longer frames are dropped (docs/protocol.md section 8)."""


Owner = Callable[[MacAddress | IPAddress], str]
"""The name of the other node that its certificate gives an address; empty for none."""


def addresses_within(prefixes: Collection[IPNetwork]) -> list[tuple[str, IPv4Interface | IPv6Interface]]:
    """This machine's addresses of these prefixes, each behind its interface."""
    return [
        (name, address)
        for name, address in own_addresses()
        if any(address.version == prefix.version and address.ip in prefix for prefix in prefixes)
    ]


def addresses_of_others(
    addresses: Iterable[tuple[str, IPv4Interface | IPv6Interface]], owner: Owner
) -> Iterator[Problem]:
    """Addresses of this machine, each behind its interface, that are another node's."""
    for name, address in addresses:
        other = owner(address.ip)
        if other:
            text = (
                f"{name} has the address {address.ip}, which is node {other}'s, so this machine does not reach {other}"
            )
            command = f"ip address del {address} dev {name}"
            yield Problem("address_of_another_node", str(address.ip), f"{text} by it: {command}")


@dataclass(frozen=True, slots=True)
class ExpectedInterface:
    """The interface as the node has set it up."""

    name: str
    mtu_bytes: int
    settings: Settings

    def changes(self, name: str, owner: Owner, *, bridged: bool) -> Iterator[Problem]:
        """``name``: as it is called now; it is up. In a bridge its MAC and its MTU are the bridge's business.
        ``bridged``: it is to be in one, so that its MTU is the LAN's even while it is not.
        """
        if name != self.name:
            text = f"{self.name} is called {name} now, and programs and routes that name {self.name} do not find it"
            command = f"ip link set {name} down && ip link set {name} name {self.name} up"
            yield Problem("interface_renamed", name, f"{text}: {command}")
        bridge = master_of(name)
        yield from _flags(bridge or name)
        if not bridge:
            yield from self._mac(name, owner)
            if not bridged:
                yield from self._mtu(name)

    def _mac(self, name: str, owner: Owner) -> Iterator[Problem]:
        mac = mac_of(name)
        if mac is not None and mac != self.settings.mac:
            own = self.settings.mac
            other = owner(mac)
            whose = f", which is node {other}'s" if other else ""
            text = f"{name} has the MAC {mac}{whose}, its certificate says {own}, so no other node reaches this machine"
            yield Problem("interface_mac", name, f"{text}: ip link set {name} address {own}")

    def _mtu(self, name: str) -> Iterator[Problem]:
        mtu = mtu_of(name)
        command = f"ip link set {name} mtu {self.mtu_bytes}"
        if mtu > self.mtu_bytes:
            harm = f"frames above {LONGEST_MTU} are dropped" if mtu > LONGEST_MTU else "long frames travel in parts"
            text = f"{name} has an MTU of {mtu} bytes, datagrams have room for {self.mtu_bytes}, so {harm}"
            yield Problem("interface_mtu", name, f"{text}: {command}")
        elif mtu and self.settings.within(mtu) != self.settings:
            text = f"{name} has an MTU of {mtu} bytes, IPv6 needs {IPV6_MTU}, so its IPv6 addresses are gone"
            yield Problem("interface_mtu", name, f"{text}: {command}")


def _flags(name: str) -> Iterator[Problem]:
    flags = flags_of(name)
    if not flags & IFF_MULTICAST:
        text = f"{name} is set to multicast off, so programs reach no group by it"
        yield Problem("interface_no_multicast", name, f"{text}: ip link set {name} multicast on")
    if flags & IFF_NOARP:
        text = f"{name} is set to ARP off, so this machine finds no host by it"
        yield Problem("interface_no_arp", name, f"{text}: ip link set {name} arp on")
