"""The model's repair of trees: silent parents, grafts at backups, what is sent once more.

Read ``docs/protocol.md`` section 6, Repair, first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from treecast.base import events as e
from treecast.base.ids import NO_NODE, NodeIndex, StreamId, TreeEpoch
from treecast.base.parent_failures import ParentFailure
from treecast.base.time import Duration, Instant, after
from treecast.sim.datagrams import Graft, Mark, ReplayWindow, ServiceRequest, Tick, TreeDatagram, TreeState
from treecast.sim.sending import Sending
from treecast.sim.tables import DownstreamStream
from treecast.sim.withheld import LATER, LOOKS, LOOKS_OF_LEAF, Withheld

TURN: Duration = 0.02
FAST_SILENCE: Duration = 0.06
SLOW_SILENCE: Duration = 1.0
SLOW_TICK: Duration = 0.25
FAST_MARK: Duration = 0.1
SLOW_MARK: Duration = 1.0
MARK_DATAGRAMS = 8
FAST_DATAGRAMS = 100
"""The datagrams of a fast tree in a second, for a child; for a parent half as many."""
WATCHED: Duration = 4.0
HISTORY: Duration = 1.0
REPEAT: Duration = 0.1
GRAFTS = 4
OVERTAKEN = 64

_LONG_AGO = Instant(float("-inf"))
TreeName = tuple[NodeIndex, StreamId, TreeEpoch]


@dataclass(slots=True)
class Watch:
    """A tree by which something came lately."""

    since: Instant
    datagrams: int = 0
    counted: int = 0
    came_at: Instant = _LONG_AGO
    parent_at: Instant = _LONG_AGO
    newest: int = 0
    fast_until: Instant = _LONG_AGO
    fast_for_parent_until: Instant = _LONG_AGO
    ticked_at: Instant = _LONG_AGO
    grafts: int = 0
    grafted_at: Instant = _LONG_AGO
    next_graft: Instant = _LONG_AGO
    is_silent: bool = False
    """The parent was, and has sent on nothing since."""
    newest_then: int = 0
    """The highest counter that had come when it was found silent."""
    of_backup: int = 0
    backup_marked_at: Instant = _LONG_AGO
    reported_at: Instant = _LONG_AGO
    marked: int = 0
    marked_at: Instant = _LONG_AGO
    other_until: Instant = _LONG_AGO
    """The time until which it waits for the root to report that the stream's other tree is in use."""
    withheld: Withheld = field(default_factory=Withheld)

    @property
    def used_at(self) -> Instant:
        return max(self.came_at, self.backup_marked_at)

    def count(self, now: Instant) -> None:
        """Look how many datagrams have come since the last count, which says for how long the tree counts as fast."""
        come = self.datagrams - self.counted
        if come >= FAST_DATAGRAMS:
            self.fast_until = after(now, 1.0)
        if 2 * come >= FAST_DATAGRAMS:
            self.fast_for_parent_until = after(now, 1.0)
        if come >= FAST_DATAGRAMS or now - self.since >= 1.0:
            self.counted, self.since = self.datagrams, now

    def is_tick_due(self, now: Instant) -> bool:
        interval = TURN if now < self.fast_for_parent_until else SLOW_TICK
        due = now - max(self.came_at, self.ticked_at) >= interval * 3 / 4
        if due:
            self.ticked_at = now
        return due

    def mark_due(self, now: Instant) -> int | None:
        """How far this node is, when its backup children are to know."""
        interval = FAST_MARK if now < self.fast_for_parent_until else SLOW_MARK
        if self.newest < self.marked + MARK_DATAGRAMS or now - self.marked_at < interval:
            return None
        self.marked, self.marked_at = self.newest, now
        return self.newest

    def is_graft_due(self, alive_at: Instant, now: Instant) -> bool:
        silence = FAST_SILENCE if now < self.fast_until else SLOW_SILENCE
        if self.grafts and self.came_at > self.grafted_at:
            self.grafts = GRAFTS
        due = (
            now - alive_at > silence
            and self.grafts < GRAFTS
            and now >= self.next_graft
            and now - self.came_at < WATCHED
        )
        if due:
            self.grafted_at = self.grafted_at if self.grafts else now
            self.next_graft = after(now, REPEAT * 2**self.grafts)
            self.grafts += 1
            self.note_silent()
        return due

    def note_silent(self) -> None:
        self.is_silent, self.newest_then = True, self.newest

    def has_returned(self, alive_at: Instant) -> bool:
        """Whether a parent is there again that was silent, once: it sends on, or, while there is nothing to send on,
        anything else, as it did last at ``alive_at``.
        """
        is_idle = self.newest == self.newest_then
        returned = self.is_silent and (self.parent_at > self.grafted_at or (is_idle and alive_at > self.grafted_at))
        self.is_silent &= not returned
        return returned


@dataclass(slots=True, kw_only=True)
class Repair(Sending):
    """A node's part where a parent fails, its own or another one's."""

    watched: dict[TreeName, Watch] = field(default_factory=dict)
    newest_epochs: dict[tuple[NodeIndex, StreamId], TreeEpoch] = field(default_factory=dict)
    """The highest epoch by which anything came, of each stream."""
    histories: dict[TreeName, deque[tuple[Instant, TreeDatagram]]] = field(default_factory=dict)
    grafted: dict[TreeName, set[NodeIndex]] = field(default_factory=dict)
    """Backup children that have grafted."""
    grafted_at: dict[TreeName, Instant] = field(default_factory=dict)
    """The time at which this node grafted at its backup last."""
    placed_at: dict[TreeName, Instant] = field(default_factory=dict)
    """The time at which this node took its first place on each tree."""
    repairs: dict[str, int] = field(default_factory=lambda: {"grafts": 0, "grafts_taken": 0, "retransmissions": 0})
    stopped: bool = False

    def next_hops(self, name: TreeName, state: TreeState) -> tuple[NodeIndex, ...]:
        """Children, and those of the backup children that have grafted."""
        adopted = self.grafted.get(name)
        return state.children if not adopted else (*state.children, *(n for n in state.backup_children if n in adopted))

    def note_arrival(self, name: TreeName, state: TreeState, *, of_parent: bool, is_copy: bool) -> None:
        """An authentic datagram of a tree has come."""
        self.newest_epochs[name[:2]] = max(name[2], self.newest_epochs.get(name[:2], name[2]))
        if state.relays or _is_below_a_relay(name[0], state):
            watch = self._watch(name)
            watch.datagrams += of_parent or not state.backup_sends
            watch.came_at = watch.came_at if is_copy else self.underlay.now
            if of_parent:
                watch.parent_at = self.underlay.now

    def note_newest(self, name: TreeName, counter: int) -> None:
        """A datagram was new here."""
        watch = self.watched.get(name)
        if watch is not None:
            watch.newest = max(watch.newest, counter)

    def _watch(self, name: TreeName) -> Watch:
        if name not in self.watched:
            if not self.watched:
                self.underlay.at(after(self.underlay.now, TURN), self._turn)
            self.watched[name] = Watch(self.underlay.now)
        return self.watched[name]

    def receive_mark(self, node: NodeIndex, mark: Mark, *, is_direct: bool) -> None:
        """Received in a session with a node. ``is_direct``: no other one has brought it."""
        name = (mark.root, mark.stream, mark.epoch)
        state = self._state(name)
        if not is_direct or state is None or node != state.backup:
            self.drops["tick_unexpected"] += 1
            return
        watch = self._watch(name)
        watch.of_backup, watch.backup_marked_at = max(watch.of_backup, mark.counter), self.underlay.now

    def keep(self, name: TreeName, state: TreeState, datagram: TreeDatagram) -> None:
        """Keep a datagram that has passed, where a node may want it later."""
        if state.backup_children:
            history, now = self.histories.setdefault(name, deque()), self.underlay.now
            while history and now - history[0][0] > HISTORY:
                history.popleft()
            history.append((now, datagram))

    def receive_graft(self, node: NodeIndex, graft: Graft, *, is_direct: bool) -> None:
        """Received in a session with a node. ``is_direct``: no other one has brought it."""
        name = (graft.root, graft.stream, graft.epoch)
        state = self._state(name)
        if not is_direct or state is None or node not in state.backup_children:
            self.drops["graft_unexpected"] += 1
            return
        adopted = self.grafted.setdefault(name, set())
        if node in adopted:
            self.drops["graft_repeated"] += 1
            return
        adopted.add(node)
        self.repairs["grafts_taken"] += 1
        for came_at, datagram in self.histories.get(name, ()):
            if datagram.counter > graft.after and self.underlay.now - came_at <= HISTORY:
                self.repairs["retransmissions"] += 1
                self._send(node, self.sessions.path(node).endpoint, datagram)

    def accept_tree(self, root: NodeIndex, stream: StreamId, state: TreeState) -> None:
        """Take a state: what was seen of that tree is begun anew, what is over is forgotten."""
        self.streams.setdefault((root, stream), DownstreamStream()).accept_tree(state)
        self.watched.pop((root, stream, state.epoch), None)
        self.placed_at.setdefault((root, stream, state.epoch), self.underlay.now)
        self.grafted_at.pop((root, stream, state.epoch), None)
        for table in (self.watched, self.histories, self.grafted, self.grafted_at, self.placed_at):
            for name in [name for name in table if name[:2] == (root, stream) and self._state(name) is None]:
                del table[name]

    def graft_of(self, name: TreeName) -> int:
        """0: this node has not grafted; 1: nothing has come from its parent since; 2: something has."""
        grafted_at, watch = self.grafted_at.get(name), self.watched.get(name)
        if grafted_at is None:
            return 0
        return 1 if watch is None or watch.parent_at <= grafted_at else 2

    def _state(self, name: TreeName) -> TreeState | None:
        stream = self.streams.get(name[:2])
        return None if stream is None else stream.trees.get(name[2])

    def _turn(self) -> None:
        if self.stopped:
            return
        self.turn_trees()
        if self.watched:
            self.underlay.at(after(self.underlay.now, TURN), self._turn)

    def turn_trees(self) -> None:
        """A turn of the trees that are watched."""
        now = self.underlay.now
        ticks: set[NodeIndex] = set()
        for name, watch in list(self.watched.items()):
            state = self._state(name)
            if state is None or now - watch.used_at > WATCHED + 1.0:
                del self.watched[name]
                self.histories.pop(name, None)
                continue
            watch.count(now)
            next_hops = self.next_hops(name, state)
            if next_hops and watch.is_tick_due(now):
                ticks.update(next_hops)
            counter = watch.mark_due(now)
            if counter is not None:
                for child in state.backup_children:
                    if child not in next_hops:
                        self._seal(child, Mark(*name, counter))
            if watch.has_returned(self._alive_at(state, watch)):
                self.raise_event(e.ParentFailed(*name, state.parent, ParentFailure.RETURNED))
            is_superseded = self.newest_epochs.get(name[:2], name[2]) > name[2]
            if _is_below_a_relay(name[0], state) and not is_superseded:
                self._turn_parent(name, state, watch)
        for child in sorted(ticks):
            self._seal(child, Tick())

    def _turn_parent(self, name: TreeName, state: TreeState, watch: Watch) -> None:
        """Graft, where the parent is silent or sends on less than the backup has."""
        now = self.underlay.now
        watch.withheld.mark(watch.of_backup, now)
        looks = LOOKS if self.next_hops(name, state) else LOOKS_OF_LEAF
        withheld_since = watch.withheld.look(now, looks, lambda counter: self._has(name, state, counter))
        if now < watch.other_until:
            self._graft_others(name, state.parent, watch)
        is_in_use = watch.parent_at != _LONG_AGO or self._is_tree_in_use(name, state)
        if watch.is_graft_due(self._alive_at(state, watch), now):
            self._graft(name, state.parent, watch, watch.newest, ParentFailure.SILENT)
        elif withheld_since is not None and not is_in_use:
            if now - watch.reported_at >= 1.0:
                watch.reported_at = now
                self._seal(name[0], ServiceRequest(name[1]))
                self.raise_event(e.ParentFailed(*name, state.parent, ParentFailure.SENDS_NOTHING))
        elif withheld_since is not None and watch.grafts < GRAFTS:
            is_there = now - self._alive_at(state, watch) <= LATER
            watch.grafts, watch.grafted_at = watch.grafts + 1, now
            if not is_there:
                watch.note_silent()
            failure = ParentFailure.WITHHOLDS if is_there else ParentFailure.SILENT
            self._graft(name, state.parent, watch, withheld_since, failure)

    def _has(self, name: TreeName, state: TreeState, counter: int) -> bool:
        """Whether a datagram came: at a subscriber what it opened, at a relay what went on."""
        stream = self.streams[name[:2]]
        if stream.keys and state.key_id not in stream.keys:
            return True
        windows = stream.opened if stream.keys else stream.relayed
        return not windows.get(state.key_id, ReplayWindow(1)).is_fresh(counter)

    def _alive_at(self, state: TreeState, watch: Watch) -> Instant:
        session = self.sessions.current(state.parent)
        return watch.parent_at if session is None else max(watch.parent_at, session.received_at)

    def _graft(self, lost: TreeName, parent: NodeIndex, watch: Watch, newest: int, failure: ParentFailure) -> None:
        state = self._state(lost)
        sends_already = state is not None and state.backup_sends
        if state is not None and state.backup != NO_NODE and not sends_already:
            self._graft_at_backup(lost, state, newest)
        self._graft_others(lost, parent, watch)
        if watch.grafts == 1:
            self.repairs["grafts"] += not sends_already
            self.raise_event(e.ParentFailed(*lost, parent, failure))

    def _graft_others(self, lost: TreeName, parent: NodeIndex, watch: Watch) -> None:
        """Graft by the stream's other tree, where it is in use; else ask the root whether it is."""
        for name, state in self._trees_of(lost):
            if name == lost or state.parent != parent or state.backup == NO_NODE or state.backup_sends:
                continue
            if self._is_tree_in_use(name, state):
                watch.other_until = _LONG_AGO
                seen = self.watched.get(name)
                self._graft_at_backup(name, state, 0 if seen is None else seen.newest)
            elif self.underlay.now >= watch.other_until:
                watch.other_until = after(self.underlay.now, 1.0)
                self._seal(lost[0], ServiceRequest(lost[1]))

    def _graft_at_backup(self, name: TreeName, state: TreeState, newest: int) -> None:
        self.grafted_at[name] = self.underlay.now
        self._seal(state.backup, Graft(*name, max(newest - OVERTAKEN, 0)))

    def _is_tree_in_use(self, name: TreeName, state: TreeState) -> bool:
        """Whether what the root sends comes by it, as far as this node knows."""
        seen = self.watched.get(name)
        return (seen is not None and seen.datagrams > 0) or state.key_id in self.streams[name[:2]].firsts

    def _trees_of(self, name: TreeName) -> Iterator[tuple[TreeName, TreeState]]:
        root, stream, _ = name
        for epoch, state in self.streams[root, stream].trees.items():
            yield (root, stream, epoch), state


def _is_below_a_relay(root: NodeIndex, state: TreeState) -> bool:
    return state.parent not in (NO_NODE, root)
