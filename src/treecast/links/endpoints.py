"""The endpoints that this node advertises as its own. Decides which; the machine's addresses are given to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set

from treecast.base.addresses import Endpoint, IPAddress, IPNetwork


def loopback_of(listening: Iterable[Endpoint]) -> dict[int, IPAddress]:
    """The address that a node sends from by IP version, where that is a loopback one: its first socket of each."""
    first: dict[int, IPAddress] = {}
    for one in listening:
        first.setdefault(one.address.version, one.address)
    return {version: address for version, address in first.items() if address.is_loopback}


def advertised_endpoints(
    listening: Iterable[Endpoint],
    addresses: Iterable[IPAddress],
    *,
    apart: Iterable[IPAddress],
    sources: Set[IPAddress],
    overlay: Collection[IPNetwork],
) -> tuple[Endpoint, ...]:
    """The endpoints of the node's sockets, spelled out where that is "any": by the machine's ``addresses``.

    The ``overlay``'s own addresses, which in switch mode are a bridge's, are none: a link must not run through itself.
    Nor must it run over the LAN of a bridge, which another node may carry: the machine's addresses there, that is those
    that are not ``apart``, are advertised only where it has no others, or where its datagrams to its peers leave from
    one of them (``sources``).
    """
    own = [address for address in addresses if not any(address in network for network in overlay)]
    elsewhere = set(apart)
    if elsewhere.issuperset(sources & set(own)):
        own = [address for address in own if address in elsewhere] or own
    endpoints: list[Endpoint] = []
    for one in listening:
        if one.address.is_unspecified:
            endpoints += [Endpoint(a, one.port) for a in own if a.version == one.address.version]
        else:
            endpoints.append(one)
    return tuple(dict.fromkeys(endpoints))
