"""A sender key: its life at the root, and how far each member is with it (``docs/protocol.md`` section 6).

Decides nothing: keeps the states by their tables. ``root_trees`` finds when each event happens.
"""

from __future__ import annotations

from enum import Enum

from treecast.base.ids import KeyId, NodeIndex
from treecast.base.state_table import StateTable
from treecast.base.state_table import Transition as Row


class AtRoot(Enum):
    """States of a key at its root."""

    NONE = "not made"
    NEXT = "next"
    """Offered to the members; nothing is sealed with it yet."""
    IN_USE = "in use"
    OLD = "old"
    """Nothing is sealed with it any more. Members open with it what comes late."""


class RootEvent(Enum):
    TREE_CREATED = "tree created"
    REPLACEMENT_DUE = "replacement due"
    TAKEN = "taken"
    OVERDUE = "overdue"
    SUCCEEDED = "succeeded"


AT_ROOT: StateTable[AtRoot, RootEvent] = StateTable(
    Row(AtRoot.NONE, RootEvent.TREE_CREATED, AtRoot.IN_USE, "made with its tree; offered from the first frame on"),
    Row(AtRoot.NONE, RootEvent.REPLACEMENT_DUE, AtRoot.NEXT, "MakeKey; offered to all members"),
    Row(AtRoot.NEXT, RootEvent.TAKEN, AtRoot.IN_USE, "all that hold the key in use hold it too: UseKey"),
    Row(AtRoot.NEXT, RootEvent.OVERDUE, AtRoot.IN_USE, "2 s have passed: UseKey; members without it get copies"),
    Row(AtRoot.IN_USE, RootEvent.SUCCEEDED, AtRoot.OLD, "the next key has come into use"),
)


class AtMember(Enum):
    """How far a member is with a key."""

    NONE = "not offered"
    OFFERED = "offered"
    HELD = "held"
    """Acknowledged. Members that hold the key in use are next hops; the others get session-sealed copies."""


class MemberEvent(Enum):
    OFFER = "offer"
    ACKNOWLEDGEMENT = "acknowledgement"
    LEAVE = "leave"


AT_MEMBER: StateTable[AtMember, MemberEvent] = StateTable(
    Row(AtMember.NONE, MemberEvent.OFFER, AtMember.OFFERED, "repeated after 100 ms, doubling to 1 s"),
    Row(AtMember.OFFERED, MemberEvent.OFFER, AtMember.OFFERED, "a repetition"),
    Row(AtMember.HELD, MemberEvent.OFFER, AtMember.HELD, "offered to all again, as the first frame comes"),
    Row(AtMember.NONE, MemberEvent.ACKNOWLEDGEMENT, AtMember.HELD, "a member from before: it kept the key"),
    Row(AtMember.OFFERED, MemberEvent.ACKNOWLEDGEMENT, AtMember.HELD, "no more offers of this key"),
    Row(AtMember.HELD, MemberEvent.ACKNOWLEDGEMENT, AtMember.HELD, "a repetition"),
    Row(AtMember.NONE, MemberEvent.LEAVE, AtMember.NONE, "it knows nothing"),
    Row(AtMember.OFFERED, MemberEvent.LEAVE, AtMember.NONE, "it may have the key: replacement due"),
    Row(AtMember.HELD, MemberEvent.LEAVE, AtMember.NONE, "it has the key: replacement due"),
)


class SenderKey:
    """One key of one tree. Costs of each call do not grow with the members."""

    __slots__ = ("_members", "holders", "key_id", "state")

    def __init__(self, key_id: KeyId, made: RootEvent) -> None:
        self.key_id = key_id
        self.state = AT_ROOT.after(AtRoot.NONE, made)
        self.holders: set[NodeIndex] = set()
        """Members in state HELD."""
        self._members: dict[NodeIndex, AtMember] = {}

    def becomes(self, event: RootEvent) -> None:
        self.state = AT_ROOT.after(self.state, event)

    def at(self, node: NodeIndex) -> AtMember:
        return self._members.get(node, AtMember.NONE)

    def offer(self, node: NodeIndex) -> None:
        self._members[node] = AT_MEMBER.after(self.at(node), MemberEvent.OFFER)

    def acknowledge(self, node: NodeIndex) -> None:
        self._members[node] = AT_MEMBER.after(self.at(node), MemberEvent.ACKNOWLEDGEMENT)
        self.holders.add(node)

    def leave(self, node: NodeIndex) -> bool:
        """Whether the member may have the key, which so is to be replaced."""
        before = self._members.pop(node, AtMember.NONE)
        self.holders.discard(node)
        AT_MEMBER.after(before, MemberEvent.LEAVE)
        return before is not AtMember.NONE
