"""Addresses at which no peer can be: those of no single machine, and those of the overlay that is to be reached.

Decides nothing about names: ``peer_names`` requests each address that one resolves to.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, ip_address

from treecast.adapters.netdevice import index_of, name_of
from treecast.base.addresses import HostPort, IPAddress
from treecast.base.errors import OperatorError
from treecast.identity.network import Network

_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # RFC 1122 section 3.2.1.3
_BROADCAST = IPv4Network("255.255.255.255/32")


def why_no_peer(address: IPAddress, network: Network) -> str:
    """Say what the address is; empty where a node of the network can be."""
    plain = (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
    if plain.is_multicast:
        return "a multicast address, which is no machine's"
    if plain in _BROADCAST:
        return "the broadcast address, which is no machine's"
    if plain.is_unspecified or plain in _THIS_NETWORK:
        return "no machine's address"
    for prefix in (network.ipv4, network.ipv6):
        if plain in prefix:
            return f"an address of the overlay itself ({prefix})"
    return ""


def require_underlay_peers(peers: Iterable[HostPort], network: Network) -> None:
    """OperatorError for the first that is named by an address where no node can be reached."""
    for peer in peers:
        try:
            address = ip_address(peer.host)
        except ValueError:  # a name
            continue
        why = why_no_peer(address, network)
        if why:
            raise OperatorError(
                f"--peer {peer} is {why}: give the underlay address of a machine that runs a node, or its host name"
            )
        if isinstance(address, IPv6Address):
            if address.is_link_local:
                _require_zone(peer, address)
            elif address.scope_id is not None:
                raise OperatorError(
                    f"--peer {peer} has a zone, and is no link-local address, which alone have one: give "
                    f"[{IPv6Address(int(address))}]:{peer.port}"
                )


def _require_zone(peer: HostPort, address: IPv6Address) -> None:
    """OperatorError where the address does not say on which interface it is (RFC 4007 section 11)."""
    plain, zone = IPv6Address(int(address)), address.scope_id
    advice = f"give the interface that leads to it, in the form [{plain}%eth0]"
    if zone is None:
        raise OperatorError(f"--peer {peer} is a link-local address without a zone: {advice}")
    if not (index_of(zone) or (zone.isascii() and zone.isdigit() and len(zone) < 10 and name_of(int(zone)))):
        raise OperatorError(f"--peer {peer} has the zone {zone}, which is no interface of this machine: {advice}")
