"""A sender key and the tree that was made with it: their life at the root, and how far each node is with them.

Decides nothing: keeps the states by their tables (``docs/protocol.md`` section 6). ``root_trees`` finds when each event
happens.
"""

from __future__ import annotations

from enum import Enum

from treecast.base.ids import NO_NODE, KeyId, NodeIndex, TreeEpoch
from treecast.base.state_table import StateTable
from treecast.base.state_table import Transition as Row
from treecast.dataplane.tree_plan import STAR, TreePlan


class AtRoot(Enum):
    """States of a key at its root."""

    NONE = "not made"
    NEXT = "next"
    """Offered to the members; nothing is sealed with it yet."""
    IN_USE = "in use"
    OLD = "old"
    """The key seals nothing any more. Members open with it what comes late."""


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
    Row(AtRoot.NEXT, RootEvent.OVERDUE, AtRoot.IN_USE, "its time is over: UseKey; members without it get copies"),
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
    Row(
        AtMember.NONE,
        MemberEvent.OFFER,
        AtMember.OFFERED,
        "repeated after 100 ms, doubling to 1 s, less up to a quarter",
    ),
    Row(AtMember.OFFERED, MemberEvent.OFFER, AtMember.OFFERED, "a repetition"),
    Row(AtMember.HELD, MemberEvent.OFFER, AtMember.HELD, "offered to all again, as the first frame comes"),
    Row(AtMember.NONE, MemberEvent.ACKNOWLEDGEMENT, AtMember.HELD, "a member from before: it kept the key"),
    Row(AtMember.OFFERED, MemberEvent.ACKNOWLEDGEMENT, AtMember.HELD, "no more offers of this key"),
    Row(AtMember.HELD, MemberEvent.ACKNOWLEDGEMENT, AtMember.HELD, "a repetition"),
    Row(AtMember.NONE, MemberEvent.LEAVE, AtMember.NONE, "it knows nothing"),
    Row(AtMember.OFFERED, MemberEvent.LEAVE, AtMember.NONE, "it may have the key: replacement due"),
    Row(AtMember.HELD, MemberEvent.LEAVE, AtMember.NONE, "it has the key: replacement due"),
)


Records = int
"""A set of the two records by which a node is on a tree. Flags of ``enum`` take ten times as long, for each answer."""

NO_RECORD: Records = 0
SENDER_KEY: Records = 1
TREE_STATE: Records = 2
BOTH: Records = 3


class SenderKey:
    """One key of one stream, and the tree of its epoch. Costs of each call do not grow with the members of a star."""

    __slots__ = ("_acknowledged", "_lost_relay", "_members", "_unready", "epoch", "holders", "key_id", "plan", "state")

    def __init__(self, key_id: KeyId, epoch: TreeEpoch, made: RootEvent) -> None:
        self.key_id = key_id
        self.epoch = epoch
        self.state = AT_ROOT.after(AtRoot.NONE, made)
        self.holders: set[NodeIndex] = set()
        """Nodes in state HELD: members that have acknowledged both records, relays that have acknowledged theirs."""
        self.plan = STAR
        self._members: dict[NodeIndex, AtMember] = {}
        self._lost_relay = False
        self._acknowledged: dict[NodeIndex, Records] = {}
        self._unready: dict[NodeIndex, set[NodeIndex]] = {}
        """The nodes of each branch that are awaited; NO_NODE, which never comes, where the branch has ended."""

    def follow(self, plan: TreePlan) -> None:
        """The tree is this one: nothing of it was offered yet."""
        self.plan = plan
        self._unready = {top: set(nodes) for top, nodes in plan.branches.items()}

    def becomes(self, event: RootEvent) -> None:
        self.state = AT_ROOT.after(self.state, event)

    def at(self, node: NodeIndex) -> AtMember:
        return self._members.get(node, AtMember.NONE)

    def missing(self, node: NodeIndex) -> Records:
        """The records that the node has not acknowledged."""
        needed = TREE_STATE if node in self.plan.relays else BOTH
        return needed & ~self._acknowledged.get(node, NO_RECORD)

    def offer(self, node: NodeIndex) -> None:
        self._members[node] = AT_MEMBER.after(self.at(node), MemberEvent.OFFER)

    def acknowledge(self, node: NodeIndex, record: Records) -> bool:
        """Whether the node holds now all that it needs.

        A subscriber's place counts once it has the key: where its data plane refuses that, both are gone there.
        """
        before = self._acknowledged.get(node, NO_RECORD)
        if record == TREE_STATE and not before & SENDER_KEY and node not in self.plan.relays:
            return False
        acknowledged = self._acknowledged[node] = before | record
        if acknowledged != BOTH and self.missing(node):
            return False
        self._members[node] = AT_MEMBER.after(self.at(node), MemberEvent.ACKNOWLEDGEMENT)
        self.holders.add(node)
        branch = self.plan.branch_of.get(node)
        if branch is not None:
            self._unready[branch].discard(node)
        return True

    def doubt(self, node: NodeIndex) -> bool:
        """Whether the node has acknowledged something that it may have lost: it is to do so again."""
        return bool(self._acknowledged.pop(node, NO_RECORD))

    def serves(self, node: NodeIndex) -> bool:
        """Whether what goes down the tree reaches the node, and it can open that: its whole branch is ready."""
        branch = self.plan.branch_of.get(node)
        return node in self.holders if branch is None else not self._unready[branch]

    def leave(self, node: NodeIndex) -> bool:
        """Whether the member may have the key, which so is to be replaced."""
        before = self._members.pop(node, AtMember.NONE)
        acknowledged = self._acknowledged.pop(node, NO_RECORD)
        self.holders.discard(node)
        AT_MEMBER.after(before, MemberEvent.LEAVE)
        branch = self.plan.branch_of.get(node)
        if branch is not None and (node not in self.plan.children or acknowledged & TREE_STATE):
            self._unready[branch].discard(node)  # nothing is awaited of it any more; datagrams go on where they did
        return before is not AtMember.NONE or bool(acknowledged)

    def awaited(self) -> set[NodeIndex]:
        """The nodes of two trees that these wait for; none where they are over."""
        nodes = {node for waiting in self._unready.values() for node in waiting} if self.plan.root_children else set()
        return set() if NO_NODE in nodes else nodes

    def lose_relay(self, node: NodeIndex) -> None:
        """The link of a node that sends on has ended. Two trees bear the first that does."""
        if self.plan.root_children and not self._lost_relay:
            self._lost_relay = True
            for waiting in self._unready.values():
                waiting.discard(node)
        else:
            self.end_branch(node)

    def end_branch(self, node: NodeIndex) -> None:
        """The branch that the node is in, if any, serves nobody any more: members there get copies."""
        branch = self.plan.branch_of.get(node)
        if branch is not None:
            self._unready[branch].add(NO_NODE)
