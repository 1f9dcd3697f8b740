"""Quotas: how many hosts, groups and bytes of an origin count, and which origins have more.

Each node refuses what is over by itself, and keeps what it has. Decides nothing about what an advertisement means.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import NamedTuple

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import (
    MAX_BYTES_PER_ORIGIN,
    MAX_GROUPS_PER_ORIGIN,
    MAX_NAMED_OVER_QUOTA,
    MAX_RECORDS_PER_ORIGIN,
    MAX_SOURCES_PER_ORIGIN,
)
from treecast.base.problems import Problem
from treecast.base.tables import NEARLY_FULL
from treecast.base.time import Duration, Instant
from treecast.identity.rights import DEFAULT_RIGHTS, Rights
from treecast.wire.advertised_groups import GroupsContent
from treecast.wire.advertisement import Content, HostContent

NAMED_FOR: Duration = 660.0
"""The time after the last refusal. Within ten minutes a neighbour offers an origin again of which one was refused."""


class Usage(NamedTuple):
    """Counts of an origin, as it has them or may have them.

    ``sources``: of its groups, all together; ``size_bytes``: as advertisements are sent.
    """

    hosts: int = 0
    groups: int = 0
    sources: int = 0
    records: int = 0
    size_bytes: int = 0

    def plus(self, more: Usage) -> Usage:
        """Both together."""
        return Usage(*map(operator.add, self, more))

    def minus(self, less: Usage) -> Usage:
        """Usage without that."""
        return Usage(*map(operator.sub, self, less))


class OverQuotaError(MalformedError):
    """An advertisement is genuine, and more than its origin may have of ``field``."""

    def __init__(self, field: str) -> None:
        super().__init__("advertisement_over_quota")
        self.field = field


def quota_of(rights: Rights) -> Usage:
    """The most that a node with these rights may have."""
    return Usage(
        hosts=rights.hosts,
        groups=min(rights.groups, MAX_GROUPS_PER_ORIGIN),
        sources=min(rights.groups, MAX_SOURCES_PER_ORIGIN),
        records=MAX_RECORDS_PER_ORIGIN,
        size_bytes=MAX_BYTES_PER_ORIGIN,
    )


NOTHING = Usage()
DEFAULT_QUOTA = quota_of(DEFAULT_RIGHTS)


def usage_of(content: Content | None, size_bytes: int) -> Usage:
    """Counts of one advertisement. ``content``: None where it withdraws its key, or is of an unknown kind."""
    hosts = groups = sources = 0
    if isinstance(content, HostContent):
        hosts = 1
    elif isinstance(content, GroupsContent):
        groups = len(content.groups)
        sources = sum(len(group.sources) for group in content.groups)
    return Usage(hosts, groups, sources, 1, size_bytes)


def require_within(quota: Usage, has: Usage, before: Usage, after: Usage) -> Usage:
    """The usage with ``after`` in place of ``before``. OverQuotaError where it is more than before, and too much."""
    usage = has.minus(before).plus(after)
    for field, most, now, then in zip(Usage._fields, quota, has, usage, strict=True):
        if then > most and then > now:
            raise OverQuotaError(field)
    return usage


_CALLED = {"hosts": "hosts", "groups": "groups", "sources": "sources of groups", "records": "advertisements"}
_OPTIONS = {"hosts": "--hosts", "groups": "--groups", "sources": "--groups"}


class OverQuota:
    """The nodes that have advertised more than they may, for people."""

    def __init__(self, me: NodeIndex) -> None:
        self._me = me
        self._nodes: dict[NodeIndex, tuple[str, int, Instant]] = {}
        """The field, what is allowed, and when something was refused last."""

    def note(self, now: Instant, node: NodeIndex, field: str, quota: Usage) -> None:
        """Something of it was refused. The one noted first makes room."""
        self._nodes.pop(node, None)
        self._nodes[node] = (field, getattr(quota, field), now)
        if len(self._nodes) > MAX_NAMED_OVER_QUOTA:
            del self._nodes[next(iter(self._nodes))]

    def now_has(self, node: NodeIndex, usage: Usage, quota: Usage) -> None:
        """The node has so much now; where that is well below what it may have, nothing is over any more."""
        noted = self._nodes.get(node)
        if noted is not None and getattr(usage, noted[0]) < NEARLY_FULL * getattr(quota, noted[0]):
            self.forget(node)

    def is_noted(self, node: NodeIndex) -> bool:
        """Whether something of it was refused, and it has as much as it may since."""
        return node in self._nodes

    def forget(self, node: NodeIndex) -> None:
        """The node is gone, or may have more."""
        self._nodes.pop(node, None)

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """``name``: of a node."""
        for node in sorted(node for node, (_, _, last) in self._nodes.items() if now - last < NAMED_FOR):
            field, most, _ = self._nodes[node]
            what = f"more than {most} {_CALLED.get(field, 'bytes of advertisements')}"
            option = _OPTIONS.get(field)
            renew = f"run treecast node renew {name(node)} {option} N where the CA key is" if option else ""
            if node == self._me:
                advice = f"{renew}, and give this node the certificate" if renew else "split its LAN between nodes"
                text = f"this node has {what}, and advertises those up to its quota only: {advice}"
                yield Problem("own_quota", "this machine", text)
            else:
                advice = f"if they are its own, {renew}, else" if renew else "split its LAN between nodes, or"
                text = f"{name(node)} advertises {what}, and those beyond do not count: {advice} find out what runs"
                yield Problem("over_quota", name(node), f"{text} there")
