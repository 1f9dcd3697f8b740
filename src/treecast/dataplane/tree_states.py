"""Places on other roots' trees: which states of trees this node takes, and what it relays.

Decides by what this node subscribes to and by its own certificate. Read ``docs/protocol.md`` section 6 first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.commands import Command, SendControl
from treecast.base.counters import Drops
from treecast.base.downstream_commands import AcceptTree, EndRelaying, RefuseTree
from treecast.base.errors import MalformedError
from treecast.base.events import CommandRefusalReason, ParentFailed, TreeOffered
from treecast.base.ids import NO_NODE, NodeIndex, StreamId
from treecast.base.limits import MAX_RELAYED_STREAMS, MAX_RELAYED_STREAMS_PER_ROOT
from treecast.base.parent_failures import ParentFailure
from treecast.base.tables import TableUse
from treecast.base.time import Duration, Instant, after, earliest
from treecast.dataplane.children_bounds import CHILDREN_OF_A_RELAY
from treecast.dataplane.downstream_trees import MAX_SILENCE
from treecast.dataplane.tree_plan import children_at_once
from treecast.dataplane.withholding_relays import WithholdingRelays
from treecast.wire.control import ParentLost, TreeAcknowledgement, TreeRefusal, emit_control

_StreamKey = tuple[NodeIndex, StreamId]

RELAY_OVERLAP: Duration = 10.0
"""A relay whose next place on a stream's trees has no children sends on by the place before for so long: until the root
uses the next tree, and what it sealed for the one before has come."""


class TreeStates:
    """Methods append to ``commands``; the caller empties it.

    ``subscribes``: whether this node holds a key of a root's stream. ``may_relay``: by its own certificate.
    ``free_children``: so many it may have in all beside those on its own trees; None: as many as it is given.
    """

    def __init__(
        self,
        drops: Drops,
        subscribes: Callable[[NodeIndex, StreamId], bool],
        may_relay: Callable[[], bool],
        free_children: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._drops = drops
        self._subscribes = subscribes
        self._may_relay = may_relay
        self._free_children = free_children
        self._children: dict[_StreamKey, int] = {}
        """Children on each stream that goes on from here, and of all together."""
        self.children = 0
        self._relayed: dict[_StreamKey, Instant] = {}
        """Streams that go on from here, and since when their root is silent about it, the oldest first."""
        self._of_root: dict[NodeIndex, set[StreamId]] = {}
        self._leaving: dict[_StreamKey, Instant] = {}
        """Streams among them whose newest place has no children, and since when, the oldest first."""
        self.commands: list[Command] = []
        self.withholding = WithholdingRelays()

    def relayed(self) -> tuple[_StreamKey, ...]:
        """The streams of others that go on from here."""
        return tuple(self._relayed)

    def tables(self) -> Iterator[TableUse]:
        """How full they are."""
        yield TableUse("relayed streams", len(self._relayed), MAX_RELAYED_STREAMS, "give more nodes the role relay")

    def offered(self, now: Instant, offer: TreeOffered) -> None:
        """A root sends the state of one of its trees."""
        key = (offer.root, offer.stream)
        if offer.parent == NO_NODE:
            self._end(key)
            self.commands.append(RefuseTree(offer.root, offer.stream, offer.epoch, offer.number))
            return
        try:
            self._judge(offer)
        except MalformedError as error:
            self._drops.count(error.reason)
            self.commands.append(RefuseTree(offer.root, offer.stream, offer.epoch, offer.number))
            if offer.children or offer.backup_children:
                refusal = TreeRefusal(offer.stream, offer.epoch, self._most(key) if self._may_relay() else 0)
                self.commands.append(SendControl(offer.root, emit_control(refusal)))
            return
        if offer.children or offer.backup_children:
            self._count(key, len(offer.children))
            self._relayed.pop(key, None)
            self._leaving.pop(key, None)
            self._relayed[key] = now
            self._of_root.setdefault(offer.root, set()).add(offer.stream)
        else:
            self._count(key, 0)
            if key in self._relayed:
                self._leaving.setdefault(key, now)
        taken = emit_control(TreeAcknowledgement(offer.stream, offer.epoch))
        self.commands.append(AcceptTree(offer.root, offer.stream, offer.epoch, offer.number, taken))

    def _judge(self, offer: TreeOffered) -> None:
        key = (offer.root, offer.stream)
        if not offer.children and not offer.backup_children:
            if not self._subscribes(*key):
                raise MalformedError("tree_state_not_wanted")
            return
        if not self._may_relay():
            raise MalformedError("relay_without_role")
        of_root = len(self._of_root.get(offer.root, ()))
        is_full = len(self._relayed) >= MAX_RELAYED_STREAMS or of_root >= MAX_RELAYED_STREAMS_PER_ROOT
        if key not in self._relayed and is_full:
            raise MalformedError("relayed_stream_table_full")
        if children_at_once(offer.children, offer.backup_children) > self._most(key):
            raise MalformedError("relay_children_full")

    def parent_failed(self, now: Instant, event: ParentFailed) -> None:
        """The data plane has the datagrams of a tree from the backup; the root plans anew."""
        if event.failure is ParentFailure.RETURNED:
            self.withholding.returned(now, event.parent, event.root)
        elif event.failure is not ParentFailure.SENDS_NOTHING:  # of that the root judges
            silent = event.failure is ParentFailure.SILENT
            self.withholding.found(now, event.parent, event.root, silent=silent)
        lost = ParentLost(event.stream, event.epoch, event.parent, event.failure)
        self.commands.append(SendControl(event.root, emit_control(lost)))

    def _most(self, key: _StreamKey) -> int:
        """The children that this node takes on a stream's tree."""
        free = self._free_children()
        if free is None:
            return CHILDREN_OF_A_RELAY
        return min(max(free - self.children + self._children.get(key, 0), 0), CHILDREN_OF_A_RELAY)

    def _count(self, key: _StreamKey, children: int) -> None:
        self.children += children - self._children.pop(key, 0)
        if children:
            self._children[key] = children

    def refused(self, command: AcceptTree, reason: CommandRefusalReason) -> None:
        """The data plane has not taken a state. The root, without acknowledgement, sends copies and the state again."""
        if reason is not CommandRefusalReason.UNKNOWN:
            self._end((command.root, command.stream))

    def judge(self) -> None:
        """This node's certificate is another one, which may not let it relay."""
        if not self._may_relay():
            for key in list(self._relayed):
                self._end(key)

    def forget(self, root: NodeIndex) -> None:
        """The root is gone; the data plane forgets its trees by itself."""
        self.withholding.forget(root)
        for stream in sorted(self._of_root.get(root, ())):
            self._drop((root, stream))

    def advance(self, now: Instant) -> None:
        """End what roots have been silent about for too long, and what no newest place says."""
        for streams, limit in ((self._relayed, MAX_SILENCE), (self._leaving, RELAY_OVERLAP)):
            while streams:
                key, since = next(iter(streams.items()))
                if after(since, limit) > now:
                    break
                self._end(key)

    def next_deadline(self) -> Instant | None:
        limits = ((self._relayed, MAX_SILENCE), (self._leaving, RELAY_OVERLAP))
        return earliest(*(after(next(iter(streams.values())), limit) for streams, limit in limits if streams))

    def _end(self, key: _StreamKey) -> None:
        if key in self._relayed:
            self._drop(key)
            self.commands.append(EndRelaying(*key))

    def _drop(self, key: _StreamKey) -> None:
        root, stream = key
        self._count(key, 0)
        self._leaving.pop(key, None)
        if self._relayed.pop(key, None) is not None:
            self._of_root[root].discard(stream)
            if not self._of_root[root]:
                del self._of_root[root]
