"""Refusals: who is not believed, or does not believe this node, and why. For people; nothing is decided by them.

A member whose certificate has ended is known by its name, everybody else by an address; of each only the last is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REFUSED_MEMBERS, MAX_REFUSED_STRANGERS
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.identity.certificate import Certificate
from treecast.identity.newest import CERTIFICATE_REPLACED, another_node
from treecast.identity.revocation import CERTIFICATE_REVOKED
from treecast.links.calendar import day_of, in_words
from treecast.links.clocks import TOLERANCE

Key = TypeVar("Key")

REFUSED_LIFETIME: Duration = 45.0
"""A node that is still sought is tried again every ten seconds and less."""
OF_A_TIME = ("certificate_expired", "certificate_not_yet_valid")
REFUSAL_PAUSE: Duration = 2.0
"""The pause after an answer from somebody who is no member: whoever it is does not set the pace."""
REVOKED_PAUSE: Duration = 30.0
"""The pause after one from a node that is revoked, or that reports this one as revoked: that does not pass. It is
shorter than a refusal is shown, so that people see why there is no link.
"""
_SAME_RELEASE = "install one release of Treecast on both"


@dataclass(frozen=True, slots=True)
class LastRefusal:
    """The last refusal of one node.

    ``other``: its certificate, where it is the CA's and its key was proved; ``clock_ms``: its wall clock then;
    ``own_clock_ms``: this node's, which ``Refusals.note`` fills in.
    """

    at: Instant
    by_me: bool
    reason: str
    endpoint: Endpoint
    other: Certificate | None
    clock_ms: int
    own_clock_ms: int = 0

    @property
    def clocks_differ(self) -> bool:
        return abs(self.clock_ms - self.own_clock_ms) > TOLERANCE * 1000

    @property
    def is_by_record(self) -> bool:
        """Whether this node has the CA's record of it: all is as the CA wants it, and nobody has anything to do."""
        return self.by_me and self.reason == CERTIFICATE_REVOKED

    @property
    def is_of_a_time(self) -> bool:
        """Whether another clock would not have refused."""
        return self.reason in OF_A_TIME


class Refusals:
    """Keeps the reasons of refusals by name and address. ``wall_clock_ms``: this node's wall clock at an instant."""

    def __init__(self, own: Certificate, wall_clock_ms: Callable[[Instant], int]) -> None:
        self._own = own
        self._wall_clock_ms = wall_clock_ms
        self._members: dict[tuple[bool, NodeIndex], LastRefusal] = {}
        self._strangers: dict[tuple[bool, Endpoint], LastRefusal] = {}
        self._last: LastRefusal | None = None

    def renew(self, own: Certificate) -> bool:
        """This node has another certificate: refusals of the one before for its time, or its revocation, are over.
        Whether there was one for that.
        """
        self._own = own
        was_revoked = False
        for key, refused in list(self._members.items()):
            if not refused.by_me and (refused.is_of_a_time or refused.reason == CERTIFICATE_REVOKED):
                was_revoked |= refused.reason == CERTIFICATE_REVOKED
                del self._members[key]
        return was_revoked

    def note(self, refused: LastRefusal) -> None:
        self._last = refused = replace(refused, own_clock_ms=self._wall_clock_ms(refused.at))
        if refused.other is not None:
            key = (refused.by_me, refused.other.node_index)
            _put(self._members, key, refused, MAX_REFUSED_MEMBERS)
        else:
            _put(self._strangers, (refused.by_me, refused.endpoint), refused, MAX_REFUSED_STRANGERS)

    def take_last(self) -> LastRefusal | None:
        """The last one that was noted since the call before."""
        last, self._last = self._last, None
        return last

    def of(self, now: Instant, node: NodeIndex | None, endpoints: tuple[Endpoint, ...]) -> LastRefusal | None:
        """The present refusal of the node, or of whoever is at one of these addresses."""
        for refused in self._present(now):
            is_node = refused.other is not None and refused.other.node_index == node
            if is_node or refused.endpoint in endpoints:
                return refused
        return None

    def are_present(self, now: Instant) -> bool:
        """Whether somebody has refused, or was refused, of late."""
        return next(self._present(now), None) is not None

    def forget(self, node: NodeIndex) -> None:
        """Its link is up."""
        for key in ((False, node), (True, node)):
            if key in self._members and self._members[key].reason != CERTIFICATE_REPLACED:  # that was another machine
                del self._members[key]

    def clock_doubt(self, now: Instant) -> str:
        """One node whose clock differs, and what both showed; empty where none does."""
        for refused in self._present(now):
            if refused.other is not None and refused.clocks_differ and not self._is_mended(now, refused):
                return f"the clock of {refused.other.name} said {_both(refused)}"
        return ""

    def problems(
        self,
        now: Instant,
        where_is: Callable[[NodeIndex], tuple[Endpoint, ...]],
        is_up: Callable[[NodeIndex], bool],
        newest_name: Callable[[NodeIndex], str],
    ) -> Iterator[Problem]:
        """``where_is``: the endpoints of a node; ``is_up``: whether its link is, which a clock alone does not end at
        once: ``clocks`` has that problem; ``newest_name``: its name by its newest certificate.
        """
        for refused in self._present(now):
            if refused.is_of_a_time and refused.clocks_differ and refused.other and is_up(refused.other.node_index):
                continue
            if self._is_mended(now, refused) or refused.is_by_record:
                continue
            where = str(refused.endpoint)
            who = f"{refused.other.name} ({where})" if refused.other else f"a node at {where}"
            subject = refused.other.name if refused.other else where
            if refused.by_me and refused.reason == CERTIFICATE_REPLACED and refused.other is not None:
                node = refused.other.node_index
                newer = newest_name(node) or refused.other.name
                yield _replaced(refused.other, newer, where, self._place(where, node, where_is))
            elif refused.by_me:
                yield Problem("peer_refused", subject, f"{who} is refused: {self._of_other(refused)}")
            else:
                yield Problem(
                    "refused_by_peer", subject, f"{who} refuses this node: {self._of_this_node(refused, newest_name)}"
                )

    def _present(self, now: Instant) -> Iterator[LastRefusal]:
        for refused in [*self._members.values(), *self._strangers.values()]:
            if now - refused.at < REFUSED_LIFETIME:
                yield refused

    def _is_mended(self, now: Instant, refused: LastRefusal) -> bool:
        """Whether this node's clock was wrong, and is set by now."""
        if not (refused.by_me and refused.is_of_a_time) or refused.other is None:
            return False
        return self._is_valid(now, refused.other)

    def _place(self, old: str, node: NodeIndex, where_is: Callable[[NodeIndex], tuple[Endpoint, ...]]) -> str:
        """Where the node is that has the newer of two certificates."""
        if node == self._own.node_index:
            return "here"
        endpoints = [str(endpoint) for endpoint in where_is(node) if str(endpoint) != old]
        return f"at {', '.join(endpoints[:4])}" if endpoints else "elsewhere"

    def _of_other(self, refused: LastRefusal) -> str:
        match refused.reason, refused.other:
            case "certificate_expired", Certificate() as other:
                return f"its certificate expired on {_expired(refused, other, 'this node')}"
            case "certificate_not_yet_valid", Certificate() as other:
                valid = f"its certificate is not valid before {in_words(other.not_before_s)}"
                return f"{valid}; {_clocks(refused)}"
            case "certificate_extension_unknown", _:
                return f"its certificate has an extension that this node does not know: {_SAME_RELEASE}"
            case "handshake_no_common_version", _:
                return f"it speaks no version of the protocol that this node speaks: {_SAME_RELEASE}"
            case "handshake_not_its_certificate", _:
                return (
                    "it shows a certificate whose key it does not have: that belongs to one machine, and a copy of it "
                    f"makes no second; {another_node('there')}"
                )
            case _:
                return (
                    f"its certificate is not one of this network ({refused.reason}): add it with the CA of this "
                    f"network, or take this node's address out of its --peer"
                )

    def _of_this_node(self, refused: LastRefusal, newest_name: Callable[[NodeIndex], str]) -> str:
        own = self._own
        match refused.reason:
            case "certificate_expired" if not refused.clocks_differ and refused.clock_ms / 1000 <= own.not_after_s:
                which = "a newer certificate of this node than the one here, which has expired"
                return f"it knows {which}; {_renew(own.name)}"
            case "certificate_expired":
                return f"this node's certificate expired on {_expired(refused, own, 'it')}"
            case "certificate_not_yet_valid":
                valid = f"this node's certificate is not valid before {in_words(own.not_before_s)}"
                return f"{valid}; {_clocks(refused)}"
            case "certificate_revoked":
                return (
                    "the CA has revoked this node's certificate: if there is a later one (treecast node renew "
                    f"{own.name}), put that node.cert into its directory; if there is none, give it new keys where the "
                    f"CA key is, with treecast node add {own.name} --replace --dir {own.name}-new"
                )
            case "certificate_extension_unknown":
                return f"this node's certificate has an extension that it does not know: {_SAME_RELEASE}"
            case "handshake_no_common_version":
                return f"this node speaks no version of the protocol that it speaks: {_SAME_RELEASE}"
            case "certificate_replaced":
                newer = newest_name(own.node_index) or own.name
                if newer != own.name:
                    return one_index(own.name, newer, own.node_index)
                return (
                    f"a newer certificate has this node's index ({own.node_index}): {own.name} was added again "
                    f"(treecast node add {own.name} --replace), so start it with its new directory; or the "
                    f"network's directory was used in two places, so add {own.name} again from one of them"
                )
            case _:
                return (
                    f"this node's certificate is not of its network ({refused.reason}): check that both were added "
                    f"with the same CA, and that all files in this node's directory came with its certificate"
                )

    def _is_valid(self, now: Instant, certificate: Certificate) -> bool:
        return certificate.not_before_s <= self._wall_clock_ms(now) / 1000 <= certificate.not_after_s


def pause_after(reason: str) -> Duration:
    """How long whoever was refused for that is not tried again."""
    return REVOKED_PAUSE if reason == CERTIFICATE_REVOKED else REFUSAL_PAUSE


def _expired(refused: LastRefusal, certificate: Certificate, by: str) -> str:
    """``by``: whose clock said so."""
    day, renew = day_of(certificate.not_after_s), _renew(certificate.name)
    if not refused.clocks_differ:
        return f"{day}; {renew}"
    whose = "its" if by == "it" else f"{by}'s"
    return f"{day}, by {whose} clock; {_clocks(refused)}; only if {whose} is right, {renew}"


def _clocks(refused: LastRefusal) -> str:
    return f"its clock said {_both(refused)}: set the one that is wrong"


def _both(refused: LastRefusal) -> str:
    return f"{in_words(refused.clock_ms / 1000)} when this node's said {in_words(refused.own_clock_ms / 1000)}"


def _renew(name: str) -> str:
    return f"on the CA's machine run treecast node renew {name}, and put the new node.cert into its directory"


def one_index(name: str, newer: str, node: NodeIndex) -> str:
    """Two nodes of two names: no node was added again."""
    return (
        f"{name} and {newer} have the same index {node}: the network's directory was used in two places; add {name} "
        f"again (treecast node add) from the one directory that is to stay, where {newer} is known, and start it "
        f"with that"
    )


def _replaced(older: Certificate, newer: str, where: str, new: str) -> Problem:
    name = older.name
    if newer != name:
        text = f"{one_index(name, newer, older.node_index)} ({name} runs at {where}, {newer} {new})"
        return Problem("identity_twice", name, text)
    return Problem(
        "identity_twice",
        name,
        f"node {name} was added again (treecast node add {name} --replace) and runs on two machines, at {where} with "
        f"the certificate that is replaced and {new} with the new one: end the node at {where}, and delete its "
        f"directory there; {another_node('there')}",
    )


def _put(table: dict[Key, LastRefusal], key: Key, refused: LastRefusal, limit: int) -> None:
    """The oldest makes room."""
    table.pop(key, None)
    table[key] = refused
    if len(table) > limit:
        del table[next(iter(table))]
