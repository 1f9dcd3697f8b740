"""Simulated hosts (RFC 9776 section 5, RFC 9777 section 6) on a virtual port: they report changes and answer queries.

The network between them and the router loses nothing, so each state change is reported once. Older hosts hear each
other and suppress their reports, as IGMPv1, IGMPv2 and MLDv1 hosts do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from tests.sim.multicast.virtual_port import ALLOW, BLOCK, IS_EX, IS_IN, TO_EX, TO_IN, VirtualPort
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.wire.group_membership import MembershipQuery

InterfaceState = tuple[FilterMode, frozenset[int]]
NOTHING: InterfaceState = (FilterMode.INCLUDE, frozenset())
EVERYTHING: InterfaceState = (FilterMode.EXCLUDE, frozenset())


@dataclass
class Host:
    """Number, version of its protocol, and what it wants of each group (numbers as in VirtualPort)."""

    number: int
    version: int
    states: dict[int, InterfaceState] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    at: float
    host: Host
    group: int
    sources: frozenset[int]


class Lan:
    """Hosts on the port of one router, and their answers that are still to come."""

    def __init__(self, port: VirtualPort, rng: Random, hosts: Iterable[Host]) -> None:
        self.port = port
        self.hosts = list(hosts)
        self._rng = rng
        self._answers: list[Answer] = []
        self._seen = len(port.sent)

    def set_state(self, host: Host, group: int, state: InterfaceState) -> None:
        """A host's interface state changes; the change is reported at once (RFC 9776 section 5.1)."""
        before = host.states.get(group, NOTHING)
        host.states[group] = state
        newest = self.port.protocol.newest_version
        if host.version < newest:
            self._older_change(host, group, before, state)
            return
        (old_mode, old), (mode, sources) = before, state
        number = host.number
        if mode is not old_mode:
            self.port.report(TO_EX if mode is FilterMode.EXCLUDE else TO_IN, sorted(sources), group=group, host=number)
            return
        added, removed = (
            (sources - old, old - sources) if mode is FilterMode.INCLUDE else (old - sources, sources - old)
        )
        if added:
            self.port.report(ALLOW, sorted(added), group=group, host=number)
        if removed:
            self.port.report(BLOCK, sorted(removed), group=group, host=number)

    def run(self, duration: float) -> None:
        """Time passes; queries are answered within their Max Resp Time."""
        end = self.port.now + duration
        while True:
            self._receive_queries()
            times = [answer.at for answer in self._answers]
            deadline = self.port.router.next_deadline()
            until = min([*times, end] if deadline is None else [*times, deadline, end])
            self.port.run(until - self.port.now)
            self._answer()
            if until >= end:
                return

    def merged(self, group: int) -> SourceFilter:
        """The merged filter of all hosts (RFC 9776 section 3.2): the oracle."""
        states = [host.states[group] for host in self.hosts if host.states.get(group, NOTHING) != NOTHING]
        included = frozenset().union(*(sources for mode, sources in states if mode is FilterMode.INCLUDE))
        excluding = [sources for mode, sources in states if mode is FilterMode.EXCLUDE]
        if not excluding:
            return SourceFilter(FilterMode.INCLUDE, frozenset(self.port.sources(included))) if included else NO_SOURCE
        excluded = frozenset.intersection(*excluding) - included
        return SourceFilter(FilterMode.EXCLUDE, frozenset(self.port.sources(excluded))) if excluded else ANY_SOURCE

    def _older_change(self, host: Host, group: int, before: InterfaceState, state: InterfaceState) -> None:
        if state != NOTHING and before == NOTHING:
            self._older_report(host, group)
        elif state == NOTHING and before != NOTHING and host.version >= self.port.protocol.leaves_from:
            self.port.leave(group=group, host=host.number)

    def _older_report(self, host: Host, group: int) -> None:
        """All receive it: other older hosts need not answer any more."""
        self._answers = [
            answer
            for answer in self._answers
            if answer.group != group or answer.host.version == self.port.protocol.newest_version
        ]
        self.port.older_report(host.version, group=group, host=host.number)

    def _receive_queries(self) -> None:
        fresh, self._seen = self.port.sent[self._seen :], len(self.port.sent)
        for sent in fresh:
            for host in self.hosts:
                for group, state in sorted(host.states.items()):
                    asked = sent.query.is_general or sent.query.group == self.port.group(group)
                    if asked and state != NOTHING:
                        self._schedule(host, group, sent.query)

    def _schedule(self, host: Host, group: int, query: MembershipQuery) -> None:
        delay = self._rng.uniform(0, query.max_response_time)
        base = int(self.port.source(0))
        sources = frozenset(int(source) - base for source in query.sources)
        self._answers.append(Answer(self.port.now + delay, host, group, sources))

    def _answer(self) -> None:
        """Send the answers that are due (RFC 9776 section 5.2), in the order of their times."""
        due = sorted((answer for answer in self._answers if answer.at <= self.port.now), key=lambda answer: answer.at)
        for answer in due:
            if answer not in self._answers:
                continue
            self._answers.remove(answer)
            mode, wanted = answer.host.states[answer.group]
            number, group = answer.host.number, answer.group
            if (mode, wanted) == NOTHING:
                continue
            if answer.host.version < self.port.protocol.newest_version:
                self._older_report(answer.host, group)
            elif answer.sources:
                named = answer.sources & wanted if mode is FilterMode.INCLUDE else answer.sources - wanted
                if named:
                    self.port.report(IS_IN, sorted(named), group=group, host=number)
            else:
                received = IS_IN if mode is FilterMode.INCLUDE else IS_EX
                self.port.report(received, sorted(wanted), group=group, host=number)
