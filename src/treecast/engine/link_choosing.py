"""Links of bounded number, on their way from ``topology``, which chooses them, to ``links``, which makes them.

Decides when a link that neither end keeps by itself is taken away: what is wanted instead is up first. Both ends
advertise in LINKS which links they keep, so that a settled one lasts as long as the other end wants it. Any other is a
guest's: a node that nobody had a link with, or one that this node has chosen before and chooses no more. Links on
demand stand beside all these, and count for none of their bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.link_reasons import LinkReason
from treecast.base.time import Duration, Instant, after
from treecast.engine.following import Following
from treecast.engine.rooms import Rooms
from treecast.topology.chosen_links import ChosenLinks
from treecast.topology.on_demand_links import CountedTraffic
from treecast.wire.advertised_links import NOT_MEASURED, rtt_ms_of

LISTED_AFTER: Duration = 4.0
"""The time after which LINKS of both ends have a link that is up."""
SETTLED_AFTER: Duration = 15.0
"""The time after which LINKS of both ends list what they keep, though one was lost and repeated."""
GUEST_FOR: Duration = 3.0
"""A node that had no link stays for it, though there is no room: by then it knows all others."""
WAITS_FOR: Duration = 45.0
"""A link that nobody wants waits so long for those that are chosen to be up."""


class LinkChoosing:
    """One node's. Nothing happens without a bound."""

    def __init__(self, rooms: Rooms, following: Following) -> None:
        self._rooms = rooms
        self._following = following
        self._demand = rooms.on_demand_links
        self._since: dict[NodeIndex, Instant] = {}
        """The time since which each link is up, as reviews have seen it."""
        self._settled: set[NodeIndex] = set()
        """Nodes whose links are among those that are accepted: they last as long as the other end wants."""
        if rooms.chosen_links is not None:
            rooms.links.bounds.accept(partial(self._accepts, rooms.chosen_links))
            rooms.links.bounds.choose(Instant(0.0), frozenset())

    def review(self, now: Instant, reports: Sequence[SessionReport]) -> None:
        """Choose links anew, have them made, and end those that nobody wants, about once a second. ``reports``: of the
        sessions in use.
        """
        self._rooms.broadcast.measured(now, reports)
        choice, links = self._rooms.chosen_links, self._rooms.links
        if choice is None:
            return
        declined, events = links.bounds.take_declined(now)
        self._following.links(now, events)
        for node in declined:
            self._fails(now, choice, node)
        linked: dict[NodeIndex, float | None] = dict.fromkeys(links.bounds.linked())
        for report in reports:
            if report.peer in linked and report.least_rtt_ms is not None:
                linked[report.peer] = report.least_rtt_ms
        self._since = {node: self._since.get(node, now) for node in linked}
        static = links.bounds.static_nodes()
        chosen = choice.review(now, linked, static, partial(self._estimates, linked))
        self._demand.review(now, map(_counted, reports), linked, chosen, self._rooms.broadcast.paths.relays)
        kept = chosen.keys() | self._demand.wanted
        links.bounds.choose(now, kept)
        self._following.links(now, links.bounds.settle(now, kept))
        self._rooms.broadcast.keep_links(now, kept)
        self._settle(now, choice, self._counted_ones(linked))
        self._release(now, choice, linked)

    def links_changed(self, now: Instant, origin: NodeIndex) -> None:
        """LINKS of a node list something else than before."""
        if self._rooms.chosen_links is not None:
            if origin in self._since and origin in self._rooms.links.bounds.linked():
                self._follow_end(now, self._rooms.chosen_links, origin)
            self._rooms.links.bounds.reroute(now, origin, self._have_link)

    def _have_link(self, one: NodeIndex, other: NodeIndex) -> bool:
        keeps = self._rooms.broadcast.link_state.keeps
        return keeps(one, other) is not None and keeps(other, one) is not None

    def _accepts(self, choice: ChosenLinks, node: NodeIndex, epoch_ms: int) -> bool:
        """Whether one more link is accepted. A run of a node that has published nothing yet is listed by nobody."""
        signer = self._rooms.broadcast.signer(node)
        is_listed = signer is not None and signer[1] == epoch_ms and self._rooms.broadcast.is_listed(node)
        if node not in choice.chosen and self._demand.admit(self._rooms.clock.now, node):
            return True
        linked = self._counted_ones(self._rooms.links.bounds.linked())
        accepted = choice.accepts(node, linked, self._staying(choice, linked), is_listed=is_listed)
        if accepted and is_listed and node not in linked:
            self._settled.add(node)
        return accepted

    def _counted_ones(self, linked: Iterable[NodeIndex]) -> list[NodeIndex]:
        """The links that count for what is accepted."""
        return [node for node in linked if node not in self._demand.wanted]

    def _fails(self, now: Instant, choice: ChosenLinks, node: NodeIndex) -> None:
        """A link that is wanted was refused, or the other end has ended it."""
        if choice.is_wanted(node) or node not in self._demand.wanted:
            choice.set_aside(now, node)
        self._demand.failed(now, node)

    def _is_wanted(self, choice: ChosenLinks, node: NodeIndex) -> bool:
        return choice.is_wanted(node) or node in self._demand.wanted

    def _staying(self, choice: ChosenLinks, linked: Iterable[NodeIndex]) -> set[NodeIndex]:
        """The links that are up, but those of guests."""
        return {node for node in linked if node in self._settled or choice.is_wanted(node)}

    def _estimates(self, linked: Mapping[NodeIndex, float | None]) -> Mapping[NodeIndex, float]:
        """Round trips to nodes by one neighbour, in milliseconds: no direct one is much longer than the shortest."""
        estimates: dict[NodeIndex, float] = {}
        for neighbour, round_trip_ms in sorted(linked.items()):
            if round_trip_ms is None:
                continue
            for node, (rtt_class, _) in self._rooms.broadcast.link_state.classes(neighbour).items():
                if rtt_class != NOT_MEASURED and node not in linked and node != self._rooms.me:
                    by_it = round_trip_ms + rtt_ms_of(rtt_class)
                    estimates[NodeIndex(node)] = min(by_it, estimates.get(NodeIndex(node), by_it))
        return estimates

    def _settle(self, now: Instant, choice: ChosenLinks, linked: Collection[NodeIndex]) -> None:
        """A guest's link that was there for a while is settled as soon as one more is accepted, the oldest first."""
        self._settled.intersection_update(linked)
        staying = self._staying(choice, linked)
        for node in sorted(set(linked) - staying, key=lambda node: (self._since[node], node)):
            lasts = now >= after(self._since[node], SETTLED_AFTER) and self._keeps(node)
            if lasts and choice.is_accepted_beside(node, staying):
                self._settled.add(node)
                staying.add(node)

    def _release(self, now: Instant, choice: ChosenLinks, linked: Collection[NodeIndex]) -> None:
        self._release_guests(now, choice, self._counted_ones(linked))
        are_up = all(node in linked for node, reason in choice.chosen.items() if reason is not LinkReason.STATIC)
        for node in sorted(linked):
            if self._follow_end(now, choice, node):
                continue
            age = now - self._since[node]
            waits = age < SETTLED_AFTER or (not are_up and age < WAITS_FOR)
            if not waits and not self._is_wanted(choice, node) and not self._keeps(node):
                self._following.links(now, self._rooms.links.bounds.unlink(node))

    def _follow_end(self, now: Instant, choice: ChosenLinks, node: NodeIndex) -> bool:
        """Whether the other end has ended a link, which this one does then, too."""
        if now < after(self._since[node], LISTED_AFTER) or self._keeps(node) is not None:
            return False
        if self._is_wanted(choice, node):
            self._fails(now, choice, node)
        self._following.links(now, self._rooms.links.bounds.unlink(node))
        return True

    def _release_guests(self, now: Instant, choice: ChosenLinks, linked: Collection[NodeIndex]) -> None:
        """Guests are what goes where there are more links than are accepted, the youngest first, once they have others:
        never a settled link.
        """
        surplus = choice.surplus(linked)
        guests = set(linked) - self._staying(choice, linked) if surplus else ()
        for node in sorted(guests, key=lambda node: (-self._since[node], node)):
            others = self._rooms.broadcast.link_state.of(node) - {self._rooms.me}
            if surplus and others and now >= after(self._since[node], GUEST_FOR):
                self._following.links(now, self._rooms.links.bounds.unlink(node))
                surplus -= 1

    def _keeps(self, node: NodeIndex) -> bool | None:
        """Whether the other end keeps its link with this node by itself; None where it lists none any more."""
        if not self._rooms.broadcast.knows(node):
            return True
        return self._rooms.broadcast.link_state.keeps(node, self._rooms.me)


def _counted(report: SessionReport) -> CountedTraffic:
    return CountedTraffic(report.peer, report.carried_bytes, report.refused_bytes, report.rtt_ms)
