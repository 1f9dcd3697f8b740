"""How hosts of this node call themselves: in DHCP requests (option 12) and in mDNS responses. For people only.

Nothing follows from a name: it is not published and no frame is sent by it. A host names only itself: the frame comes
from the MAC that the request is for, or that has the address which the response names.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_letters, digits

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.discovery.local_hosts import HostKey, LocalHosts
from treecast.wire import dhcp, ipv6, mdns
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

MAX_DHCP_NAME_BYTES = 63
_PLAIN = frozenset((ascii_letters + digits + "-._").encode("ascii"))


@dataclass(frozen=True, slots=True)
class AnnouncedName:
    """``name`` is its sender's own if that has ``address`` (None: if it is ``client``)."""

    name: bytes
    limit: int
    client: MacAddress | None = None
    address: IPAddress | None = None


def read(packet: Ipv4Packet | Ipv6Packet) -> list[AnnouncedName] | None:
    """The names in a packet; None: it is none of UDP. MalformedError.

    The data plane copies what begins like DHCP or mDNS: a fragment, or what other headers precede, is not read.
    """
    protocol: int
    if isinstance(packet, Ipv4Packet):
        if dhcp.is_client_message(packet):
            request = dhcp.parse_request(packet)
            name = (request.host_name or b"").rstrip(b"\0")
            return [AnnouncedName(name, MAX_DHCP_NAME_BYTES, client=request.client)] if name else []
        protocol, is_whole = packet.protocol, not packet.is_fragment
    else:
        protocol, is_whole = ipv6.upper_layer(packet).protocol, packet.next_header == mdns.PROTOCOL_UDP
    if protocol != mdns.PROTOCOL_UDP:
        return None
    if not is_whole or not mdns.is_response(packet.destination, protocol, packet.payload):
        return []
    return [AnnouncedName(one.name, mdns.MAX_NAME_BYTES, address=one.address) for one in mdns.parse(packet.payload)]


def remember(hosts: LocalHosts, drops: Drops, port: int, key: HostKey, names: list[AnnouncedName]) -> None:
    """Learn a host's name from its message; the first name of its own counts."""
    host = hosts.get(key)
    if host is None or host.port != port:
        return
    own = (name for name in names if name.client == key[1] or name.address in host.addresses)
    announced = next(own, None)
    if announced is None:
        return
    if not 0 < len(announced.name) <= announced.limit or not _PLAIN.issuperset(announced.name):
        drops.count("host_name_refused")
        return
    host.name = announced.name.decode("ascii")
