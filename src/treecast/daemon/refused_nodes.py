"""Nodes whose frames, datagrams and messages are refused here, as problems that name them and say what to do.

The data plane counts refusals by node where it is proven which node it was, and so do the rooms of the engine; a look
takes what has come since the look before. What is refused now and then, while links, trees and LANs change, is no
problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from treecast.base.bounded_table import BoundedTable
from treecast.base.counters import KEYS_MADE_ANEW, QUEUE_FULL_AS_OF, QUEUE_FULL_FORGED, SESSION_BEGUN
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import LastMinute
from treecast.base.limits import MAX_NAMED_REFUSED
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.engine.view import View
from treecast.identity.rights import NO_ROLES, Role, advice_to_bridge

FEWEST = 10
"""Fewer in a minute are no problem."""
FEWEST_SESSIONS = 20
"""Fewer sessions in a minute are no problem: a network that fails for moments, a node that is started a few times."""
FEWEST_SECONDS = 3
"""Refusals within fewer seconds are no problem: a change somewhere refuses many at once, and then no more."""

FULL = (
    "fragment_table_full",
    "key_offers_full",
    "tree_states_full",
    "punt_peer_full",
    "advertisement_queue_full",
)
"""Reasons of tables and queues: ``daemon.overruns`` makes one problem of each, which names the node with most."""

NAMED_BY_OVERRUNS = (*FULL, QUEUE_FULL_AS_OF, QUEUE_FULL_FORGED)

_NOT_ITS_TO_SEND = {
    "tree_rpf": "though it is not this node's parent on the tree of that broadcast",
    "tree_wrapped": "of a stream that is not broadcast",
    "tree_tag": "without the tag of the tree",
}


class RefusalSource(Protocol):
    """The part of ``adapters.native.DataPlane``, and of the engine's ``Drops``, that is read."""

    def take_refusals(self) -> Iterable[tuple[NodeIndex, str, int]]: ...


class _Refused:
    """Refusals of a node for one reason."""

    __slots__ = ("counts", "fewest", "is_named")

    def __init__(self, reason: str) -> None:
        self.counts = LastMinute()
        self.fewest = FEWEST_SESSIONS if reason == SESSION_BEGUN else FEWEST
        self.is_named = False
        """Named until nothing was refused for a minute."""

    def look(self, now: Instant) -> bool:
        """Whether anything is left of the last minute."""
        self.counts.expire(now)
        many = self.counts.total >= self.fewest and self.counts.seconds >= FEWEST_SECONDS
        self.is_named = self.is_named or many
        return self.counts.total > 0


class RefusedNodes:
    """``problems`` is a source of ``daemon.problems``; ``most`` names nodes for another one, which comes after it."""

    def __init__(self, view: View, *sources: RefusalSource) -> None:
        self._view = view
        self._sources = sources
        self._refused: BoundedTable[tuple[NodeIndex, str], _Refused] = BoundedTable(MAX_NAMED_REFUSED)
        """The one to which something was added last is last."""

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Called about once a second."""
        for source in self._sources:
            for node, reason, count in source.take_refusals():
                self._add(now, (node, reason), count)
        for key in [key for key, refused in self._refused.items() if not refused.look(now)]:
            del self._refused[key]
        for node, reason in sorted(self._refused):
            refused = self._refused[node, reason]
            is_named_already = reason == SESSION_BEGUN and self._view.begins_epochs(node)
            if refused.is_named and not is_named_already and reason not in NAMED_BY_OVERRUNS:
                yield self._problem(node, reason, refused.counts.total)

    def most(self, reason: str) -> str:
        """The node with most within the last minute, for a text; empty where no node is known."""
        if reason == "tree_table_full":
            return self._wants_most()
        found = self._with_most(reason)
        if found is None:
            return ""
        node, most, all_named = found
        who, name = self._view.name_and_address(node), self._view.name(node)
        brought = f"{most} of {all_named} in the last minute were brought by {who}"
        is_of_queue = reason == "advertisement_queue_full"
        forged = self._refused.get((node, QUEUE_FULL_FORGED)) if is_of_queue else None
        origin = self._with_most(QUEUE_FULL_AS_OF) if is_of_queue else None
        if forged is not None and (origin is None or forged.counts.total > origin[1]):
            looked_at = "most whose signatures were looked at are forged, which no node passes on"
            return f"; {brought}, and {looked_at}: at {name} {_find_out(name)}"
        if origin is None:
            return f"; {most} of {all_named} in the last minute are of {who}: {_find_out(name)}"
        whose, name = self._view.name_and_address(origin[0]), self._view.name(origin[0])
        return f"; {brought}, and most whose signatures were looked at are of {whose}: at {name} {_find_out(name)}"

    def _with_most(self, reason: str) -> tuple[NodeIndex, int, int] | None:
        """The node, its count, and that of all who are known."""
        counts = [(refused.counts.total, node) for (node, of), refused in self._refused.items() if of == reason]
        if not counts:
            return None
        most, node = max(counts)
        return node, most, sum(count for count, _ in counts)

    def _wants_most(self) -> str:
        found = self._view.wants_most()
        if found is None:
            return ""
        node, groups = found
        return f"; {self._view.name_and_address(node)} wants most: {groups} groups: {_find_out(self._view.name(node))}"

    def _add(self, now: Instant, key: tuple[NodeIndex, str], count: int) -> None:
        refused = self._refused.get(key) or _Refused(key[1])
        refused.counts.add(now, count)
        self._refused.put(key, refused)

    def _problem(self, node: NodeIndex, reason: str, count: int) -> Problem:
        name, who = self._view.name(node), self._view.name_and_address(node)
        if reason == "source_of_another_node":
            return Problem("source_of_another_node", name, self._source(node, name, who, count))
        if reason == "frame_never_crosses":
            text = (
                f"{who} sent this node {count} frames in the last minute that stay on a LAN, IGMP, MLD, Multicast "
                f"Router Discovery or beacons, and none was delivered: Treecast sends none: {_find_out(name)}"
            )
            return Problem("frame_never_crosses", name, text)
        if reason == "control_malformed":
            text = (
                f"{who} sent this node {count} control messages in the last minute that cannot be read, and they were "
                f"dropped: install one release of Treecast on both, or {_find_out(name)}"
            )
            return Problem("control_malformed", name, text)
        if reason == "advertisement_bad_signature":
            text = (
                f"{who} brought this node {count} advertisements in the last minute with bad signatures, and none of "
                f"them was believed: Treecast passes on no such, whatever node they name: {_find_out(name)}"
            )
            return Problem("advertisements_forged", name, text)
        if reason == SESSION_BEGUN:
            return Problem("sessions_over_and_over", name, _sessions(name, who, count))
        if reason == KEYS_MADE_ANEW:
            text = (
                f"{who} left trees of this node, and came back, {count} times in the last minute, and keys were made "
                f"anew for it: look there for a program that joins and leaves all the time, or {_find_out(name)}"
            )
            return Problem("keys_made_anew", name, text)
        if reason != "broadcast_signature_rate":
            return Problem("broadcast_refused", f"{name} {reason}", _broadcast(name, who, reason, count))
        if node == self._view.me:
            text = (
                f"{count} broadcast frames of this machine's programs, or of its LAN, were lost in the last minute, as "
                "a node broadcasts 1,000 a second: find what sends so many, or a loop on the LAN; treecast bridge add "
                "--broadcast-pps limits a LAN's, and what is for many machines goes to a group"
            )
            return Problem("broadcast_too_much", "this machine", text)
        text = (
            f"{who} broadcasts more than the 1,000 a second that other nodes check: {count} of it were dropped here in "
            f"the last minute. At {name} find what sends so many, and limit its LAN (treecast bridge add "
            f"--broadcast-pps). Treecast itself sends no more: {_find_out(name)}"
        )
        return Problem("broadcast_too_much", name, text)

    def _source(self, node: NodeIndex, name: str, who: str, count: int) -> str:
        certificate = self._view.certificate(node)
        roles = certificate.rights.roles if certificate is not None else NO_ROLES
        said = f"{who} sent {count} frames in the last minute as from another's MAC or address, and none was delivered"
        if Role.BRIDGE in roles:
            return (
                f"{said}: look on its LAN for a machine that has a node's address, or for a way beside treecast bridge "
                f"add, else {_find_out(name)}"
            )
        return (
            f"{said}: if it is to carry a LAN, run {advice_to_bridge(name, roles)} where the CA key is, else look "
            f"there for a container, or another MAC or address on its interface, or {_find_out(name)}"
        )


def _find_out(name: str) -> str:
    return f"find out what runs there, and where it is a member that lies, run treecast node revoke {name}"


def _sessions(name: str, who: str, count: int) -> str:
    return (
        f"{who} began {count} sessions with this node in the last minute, where one in two minutes is usual, and this "
        "node refuses more than one in two seconds (handshake_too_often): if it starts again and again, its log says "
        f"why; if not, {_find_out(name)}"
    )


def _broadcast(name: str, who: str, reason: str, count: int) -> str:
    sent = f"{who} sent this node {count} datagrams of broadcast in the last minute"
    how = _NOT_ITS_TO_SEND.get(reason)
    if how is not None:
        return f"{sent} {how}, and they were refused: {_find_out(name)}"
    return (
        f"{sent} that their root has not signed, and none was delivered: it forges them, or sends on what another "
        f"forges. Look there whether treecast status names the next one back; if it names nobody, {_find_out(name)}"
    )
