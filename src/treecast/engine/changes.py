"""Changes of an engine, newest last: typed values in a bounded ring, followed by a position.

A position counts the changes of one run and is no position of another: it begins at the run's start in milliseconds
since 1970, times POSITIONS_PER_MS, and no run has so many changes that it reaches the next one's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from operator import itemgetter

from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.flows import Flow, GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CHANGES
from treecast.links.link_events import LinkEnd

POSITIONS_PER_MS = 1000
"""A JSON number holds them exactly: less than 2^53."""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """A link came up or ended. ``name``: of its node; ``reason``: of its end."""

    node: NodeIndex
    name: str
    up: bool
    reason: LinkEnd | None = None


@dataclass(frozen=True, slots=True)
class PathMove:
    """Datagrams for a linked node go to another address. ``name``: of the node."""

    node: NodeIndex
    name: str
    before: Endpoint
    now: Endpoint


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A node, this one or another, wants something else of a group than before."""

    group: GroupKey
    node: NodeIndex


@dataclass(frozen=True, slots=True)
class PrefixChange:
    """Another node gets a prefix of groups, or does no more."""

    prefix: PrefixKey
    node: NodeIndex


@dataclass(frozen=True, slots=True)
class LocalHostChange:
    """A host on a port of this node wants something else of a group than before."""

    port: int
    group: GroupKey


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """Another querier, or other multicast routers, on a port and VLAN."""

    port: int
    vlan: int


@dataclass(frozen=True, slots=True)
class SenderChange:
    """A host began to send to a group, or has stopped."""

    group: GroupKey


@dataclass(frozen=True, slots=True)
class PortChange:
    """The LAN of a port is this node's to carry from now on, or another's."""

    port: int
    forwards: bool


@dataclass(frozen=True, slots=True)
class HostChange:
    """A node published a host, or withdrew it."""

    vlan: int
    mac: MacAddress
    node: NodeIndex


@dataclass(frozen=True, slots=True)
class DuplicateChange:
    """A host is in two places at once."""

    vlan: int
    mac: MacAddress


@dataclass(frozen=True, slots=True)
class TreeChange:
    """The tree of a flow has other members; None: there is none any more."""

    flow: Flow | None
    members: int | None


Change = (
    LinkChange
    | PathMove
    | MemberChange
    | PrefixChange
    | LocalHostChange
    | SegmentChange
    | SenderChange
    | PortChange
    | HostChange
    | DuplicateChange
    | TreeChange
)

OF_GROUPS: tuple[type[Change], ...] = (
    LinkChange,
    MemberChange,
    PrefixChange,
    LocalHostChange,
    SegmentChange,
    SenderChange,
)
"""The changes that rows of groups and queriers depend on."""


class Changes:
    """The last MAX_CHANGES of each type of one run: many changes of one type crowd out none of another."""

    def __init__(self, epoch_ms: int) -> None:
        self.position = epoch_ms * POSITIONS_PER_MS
        """The position behind the newest change."""
        self._kept: dict[type[Change], deque[tuple[int, Change]]] = {}
        self._known_from = self.position
        self._forgotten: dict[type[Change], int] = {}
        """The position behind the newest change of a type that is kept no more."""

    def add(self, change: Change) -> None:
        kept = self._kept.setdefault(type(change), deque())
        kept.append((self.position, change))
        self.position += 1
        if len(kept) > MAX_CHANGES:
            self._forgotten[type(change)] = kept.popleft()[0] + 1

    def since(self, position: int, types: Sequence[type[Change]]) -> Sequence[Change] | None:
        """The changes of some types behind a position; None when it is another run's, or some are forgotten."""
        known_from = max([self._known_from, *(self._forgotten.get(one, self._known_from) for one in types)])
        if not known_from <= position <= self.position:
            return None
        newer = (takewhile(lambda kept: kept[0] >= position, reversed(self._kept.get(one, ()))) for one in types)
        return [change for _, change in sorted(chain.from_iterable(newer), key=itemgetter(0))]
