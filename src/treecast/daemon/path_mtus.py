"""Path MTUs: the size of packets that routers further on carry, which the kernel has learned from their ICMP messages.

Datagrams are not cut for it: anybody may have sent such a message. The MTU in it is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from treecast.adapters.underlay import path_mtus_to
from treecast.base.addresses import IPAddress
from treecast.base.problems import Problem

MOST_QUERIED = 8
"""Addresses looked up at once: the kernel reports to nobody that it has received such a message."""
LOOKS_FOR_ALL = 10
"""All are looked up in so many turns, which are five seconds, unless they are more than MOST_QUERIED allows."""
SHOWN = 4


class PathMtus:
    """The path MTUs to the nodes that are linked, each looked at in its turn."""

    def __init__(self) -> None:
        self._linked: Collection[IPAddress] = ()
        self._turns: deque[IPAddress] = deque()
        self._known: dict[IPAddress, int] = {}

    def look(self, linked: Collection[IPAddress]) -> None:
        """Ask for the next few; ``linked`` is the same object while the addresses are the same."""
        if linked is not self._linked:
            self._linked = linked
            self._turns = deque(linked)
            self._known = {address: mtu for address, mtu in self._known.items() if address in linked}
        count = min(MOST_QUERIED, -(-len(self._turns) // LOOKS_FOR_ALL))
        due = [self._turns.popleft() for _ in range(count)]
        self._turns.extend(due)
        for address in due:
            self._known.pop(address, None)
        self._known |= path_mtus_to(due)

    def problems(self, longest: int, smallest: int, names: Callable[[], Mapping[IPAddress, str]]) -> Iterator[Problem]:
        """``longest``: of the datagrams' packets, in bytes; ``smallest``: that nodes can do with. ``names``: the linked
        nodes at each address.
        """
        narrow = {address: mtu for address, mtu in self._known.items() if mtu < longest}
        if not narrow:
            return
        least, known = min(narrow.values()), names()
        addresses = sorted(narrow, key=lambda own: (narrow[own], own.packed))
        places = [f"{known[own]} at {own}" if own in known else str(own) for own in addresses]
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        advice = f"start with --underlay-mtu {least}"
        if least < smallest:
            advice = f"nodes need {smallest}: have that router carry them"
        yield Problem(
            "path_mtu_too_small",
            "the underlay",
            f"by its ICMP messages a router on the way to {', '.join(places[:SHOWN])}{more} carries packets of "
            f"{least} bytes, and this node sends some of {longest}, which are lost there: {advice}",
        )
