"""The answer to ``group_changes``: the rows of groups that have changed since a position, as soon as there are some.

A follower waits here, not in a loop of its own. The senders of groups are counted by the data plane, which raises no
event for them: they are read while somebody follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Protocol

from treecast.adapters import clock
from treecast.api.records import Group, GroupChanges, Sliced, TouchedGroup
from treecast.base.addresses import IPAddress
from treecast.base.flows import SENDER_PAUSE, GroupKey
from treecast.base.limits import MAX_WAITING_FOLLOWERS
from treecast.base.time import Duration, Instant, after
from treecast.daemon.group_answers import GroupAnswers
from treecast.daemon.group_traffic import GroupNumbers
from treecast.engine.changes import OF_GROUPS
from treecast.engine.engine import Engine
from treecast.engine.view import Touched

WAIT: Duration = 2.0
"""A follower that waits in vain sends its request again."""
GATHER: Duration = 0.1
"""Changes within it are one answer: a LAN that comes back joins all its groups at once."""
SENDER_INTERVAL: Duration = 0.5
FLOWS_AT_ONCE = 256
"""The flows that are read between two steps of the event loop; one takes about 4 us."""


class Turning(Protocol):
    """A running node: it calls ``after_turn`` when the engine may have changed."""

    after_turn: Callable[[], None]

    @property
    def engine(self) -> Engine: ...
    @property
    def plane(self) -> GroupNumbers: ...


class GroupFollowers:
    """Answers those that follow a node's groups."""

    def __init__(self, node: Turning, port_names: Callable[[], Mapping[int, str]]) -> None:
        self._engine = node.engine
        self._plane = node.plane
        node.after_turn = self._notice
        self._port_names = port_names
        self._waiting = 0
        self._changed = asyncio.Event()
        self._senders_due: Instant = clock.monotonic()

    def _notice(self) -> None:
        """The engine may have changed."""
        if self._waiting:
            self._changed.set()

    async def answer(self, since: int | None) -> Sliced:
        """All rows without a position, or for one that is not known any more; else those that changed behind it."""
        await self._read_senders()
        if since is not None and self._waiting < MAX_WAITING_FOLLOWERS and not self._has_newer(since):
            await self._wait(since)
        view = self._engine.view
        position, now = view.position, clock.monotonic()
        rows = GroupAnswers(view, self._plane, self._port_names(), now)
        changes = view.changes(since, OF_GROUPS) if since is not None else None
        if changes is None:
            head = GroupChanges(position=position, snapshot=True, touched=[], queriers=rows.queriers())
            return Sliced(head, rows.groups())
        touched = view.touched(changes)
        head = GroupChanges(
            position=position,
            snapshot=False,
            touched=_names(touched),
            queriers=rows.queriers() if touched.queriers else None,
        )
        return Sliced(head, rows.rows(touched) if touched.groups or touched.prefixes else _no_rows())

    def _has_newer(self, since: int) -> bool:
        changes = self._engine.view.changes(since, OF_GROUPS)
        return changes is None or bool(changes)

    async def _wait(self, since: int) -> None:
        """Return when something has changed, or after WAIT."""
        self._waiting += 1
        try:
            deadline = after(clock.monotonic(), WAIT)
            while not self._has_newer(since) and (left := deadline - clock.monotonic()) > 0:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, SENDER_INTERVAL)):
                        await self._changed.wait()
                await self._read_senders()
            if self._has_newer(since):
                await asyncio.sleep(GATHER)
        finally:
            self._waiting -= 1

    async def _read_senders(self) -> None:
        now = clock.monotonic()
        if now < self._senders_due:
            return
        self._senders_due = after(now, SENDER_INTERVAL)
        found: set[tuple[GroupKey, IPAddress]] = set()
        for number, counted in enumerate(chain(self._plane.sent_flows(), self._plane.delivered_flows())):
            if counted.silent_s < SENDER_PAUSE:
                found.add((counted.key, counted.source))
            if number % FLOWS_AT_ONCE == FLOWS_AT_ONCE - 1:
                await asyncio.sleep(0)
        self._engine.note_senders(frozenset(found))


def _names(touched: Touched) -> list[TouchedGroup]:
    return [TouchedGroup(vlan, str(group)) for vlan, group in (*touched.prefixes, *touched.groups)]


def _no_rows() -> Iterator[Group | None]:
    return iter(())
