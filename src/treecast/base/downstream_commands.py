"""Commands about the streams and trees of other roots: see ``commands``, which has all."""

from __future__ import annotations

from typing import TypeAlias

from treecast.base.command import DataPlaneCommand
from treecast.base.flows import KeyFlow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch


class AcceptKey(DataPlaneCommand, frozen=True):
    """Takes a pending offer of a sender key: hosts here get the stream, by any tree of it.

    ``flow``: of the first key of the stream: all other frames under its keys are ``frame_of_another_flow``; None: any
    to a group. ``acknowledgement``: the control message that the root gets once the key is held, and only then; empty:
    none.
    """

    root: NodeIndex
    stream: StreamId
    key_id: KeyId
    flow: KeyFlow | None
    acknowledgement: bytes


class RefuseKey(DataPlaneCommand, frozen=True):
    root: NodeIndex
    stream: StreamId
    key_id: KeyId


class AcceptTree(DataPlaneCommand, frozen=True):
    """Takes the pending state of a tree: its datagrams are taken from parent and backup, and go on to the children.

    ``number``: of TreeOffered, the state that was judged. The trees of a stream's two highest epochs are kept.
    ``acknowledgement``: as for AcceptKey.
    """

    root: NodeIndex
    stream: StreamId
    epoch: TreeEpoch
    number: int
    acknowledgement: bytes


class RefuseTree(DataPlaneCommand, frozen=True):
    root: NodeIndex
    stream: StreamId
    epoch: TreeEpoch
    number: int


class LeaveStream(DataPlaneCommand, frozen=True):
    """Forgets the sender keys of a stream, and its trees, but for those on which this node has children."""

    root: NodeIndex
    stream: StreamId


class ConfirmStream(DataPlaneCommand, frozen=True):
    """Asks the root whether its tree serves this node, which subscribes to the stream again.

    Unless the root says so ``within_ms``, or offers a key, the keys that this node has of it are over. ``again``: only
    the question is repeated, as long as it has no answer.
    """

    root: NodeIndex
    stream: StreamId
    within_ms: int
    again: bool


class EndRelaying(DataPlaneCommand, frozen=True):
    """Forgets the trees of a stream on which this node has children."""

    root: NodeIndex
    stream: StreamId


DownstreamCommand: TypeAlias = (
    AcceptKey | RefuseKey | AcceptTree | RefuseTree | LeaveStream | ConfirmStream | EndRelaying
)
