"""Mute members: those that acknowledge no key of a tree whose root this node is (``docs/protocol.md`` section 6).

Copies of frames bridge the time until a member has its key. A member that acknowledges none gets them
for MUTE_AFTER, and nothing from then on until it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex, StreamId
from treecast.base.key_refusals import explain
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant

MUTE_AFTER: Duration = 30.0
"""Offers are repeated each second at last: a path that has lost all of them, or all answers, loses the copies, too."""
MUTE_OFFER_INTERVAL: Duration = 10.0
"""A mute member is offered the newest key so often: it is one no more, and has its frames, by the first answer."""


class Silence:
    """The times since which the members of one tree have been offered keys, whichever, and acknowledged none.

    A member that leaves and joins again goes on where it was: else it got copies for ever by that.
    """

    __slots__ = ("_left", "_limits")

    def __init__(self) -> None:
        self._limits: dict[NodeIndex, Instant] = {}
        self._left: dict[NodeIndex, Duration] = {}
        """Nodes that left without an answer: what was left of MUTE_AFTER."""

    def limit(self, now: Instant, node: NodeIndex) -> Instant:
        """The time at which the member is mute. It is offered a key; its time runs from the first offer on."""
        limit = self._limits.get(node)
        if limit is None:
            limit = self._limits[node] = Instant(now + self._left.pop(node, MUTE_AFTER))
        return limit

    def pause(self, now: Instant, node: NodeIndex) -> None:
        """A member leaves."""
        limit = self._limits.pop(node, None)
        if limit is not None:
            self._left[node] = limit - now

    def end(self, node: NodeIndex) -> None:
        """A member has acknowledged a key, or its link has ended."""
        self._limits.pop(node, None)
        self._left.pop(node, None)


class MuteMembers:
    """The mute members of all trees, for people."""

    def __init__(self) -> None:
        self._flows: dict[NodeIndex, dict[StreamId, Flow | None]] = {}
        self._reasons: dict[tuple[NodeIndex, StreamId], int] = {}
        """Why a member takes no key, as it reports, whether it is mute yet or not."""

    def add(self, node: NodeIndex, stream: StreamId, flow: Flow | None) -> None:
        self._flows.setdefault(node, {})[stream] = flow

    def refused(self, node: NodeIndex, stream: StreamId, reason: int) -> None:
        """A member reports why it takes no key; ``discard`` forgets it."""
        self._reasons[node, stream] = reason

    def reasons(self) -> int:
        return len(self._reasons)

    def discard(self, node: NodeIndex, stream: StreamId) -> None:
        """The node is no mute member of the tree any more, if it was one."""
        self._reasons.pop((node, stream), None)
        flows = self._flows.get(node)
        if flows is None:
            return
        flows.pop(stream, None)
        if not flows:
            del self._flows[node]

    def problems(self, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """One for each node that gets nothing for its silence. ``name``: of a node."""
        for node in sorted(self._flows):
            flows = self._flows[node]
            stream, flow = next(
                ((one, flows[one]) for one in flows if (node, one) in self._reasons), next(iter(flows.items()))
            )
            what = "broadcast" if flow is None else f"the group {flow.group}"
            more = f" and {len(flows) - 1} more" if len(flows) > 1 else ""
            reason = self._reasons.get((node, stream))
            yield Problem("keys_not_taken", name(node), _sentence(name(node), what, more, reason))


def _sentence(member: str, what: str, more: str, reason: int | None) -> str:
    """``reason``: why the member takes no key, where it reports that."""
    if reason is not None:
        return (
            f"{member} refuses our key of {what}{more}: {explain(reason)}; it has acknowledged none for "
            f"{MUTE_AFTER:.0f} s, so it is sent nothing of it until it does: see its treecast status"
        )
    return (
        f"{member} wants {what}{more} from here and has acknowledged no key of it for {MUTE_AFTER:.0f} s, so it is "
        "sent nothing of it until it does, nor does it say why: see its treecast status (another release of Treecast), "
        "else find out what runs there"
    )
