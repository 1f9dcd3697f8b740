"""Which nodes are unreached, and what is known of why. The sentences for people are ``unreached``'s.

Decides nothing about links. A hint (an INIT that came from where a peer is sought, a handshake of another network) may
be made up by whoever can send datagrams; all that it changes is a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.links.noticed import NOTICED_LIFETIME, Noticed
from treecast.links.obstacles import Obstacle, Obstacles
from treecast.links.refusals import Refusals
from treecast.links.standing import Standing
from treecast.links.target import Target
from treecast.links.targets import RECALLED_PER_SECOND, Targets
from treecast.links.unreached import unreached

UNREACHED_AFTER: Duration = 3.75
"""A configured peer that has no link for so long is a problem, shown within 5 s of the start: with the second until the
next review, and what the start takes. INIT was sent four times by then (``attempts``).
"""
KNOWN_UNREACHED_AFTER: Duration = 12.0
"""A node that others know, too: one that just died is forgotten in the minute that follows, so no hurry. There is no
such doubt of one that was linked and cannot be tried from here: it has UNREACHED_AFTER.
"""
AT_ONCE: Duration = 10.0
"""Links lost within this time went together: a dead peer is noticed within seven to nine seconds."""
FOREIGN_LIFETIME: Duration = 10.0
"""A node of another network that seeks this one sends INIT every two seconds: five in a row are lost, or it stopped."""
LOOKUPS_PER_REVIEW = 32
"""Nodes known from others, or remembered, whose routes are looked up in one review."""
SHOWN = 4
OWN_REVOKED = "this node's certificate was revoked"


class Reachability:
    """How the nodes that this one seeks stand to it.

    ``inits``: where INITs came from; ``is_listed``: whether others advertise a link with a node; ``linked_at``: the
    ends of paths by which links are up.
    """

    def __init__(
        self,
        targets: Targets,
        inits: Noticed,
        refusals: Refusals,
        is_listed: Callable[[NodeIndex], bool],
        obstacles: Obstacles,
        linked_at: Callable[[], Iterable[Endpoint]],
    ) -> None:
        self._linked_at = linked_at
        self._obstacles = obstacles
        self._targets = targets
        self._refusals = refusals
        self._inits = inits
        self._is_listed = is_listed
        self.foreign = Noticed(FOREIGN_LIFETIME)
        """Where handshakes of other networks came from."""
        self.up = 0
        self._lookups = 0
        """Left in this review."""
        self._behind: dict[NodeIndex, list[str]] = {}
        """Names of nodes that were reached by each that is lost, as the last review has found them."""
        self._without_route: dict[Target, Obstacle] = {}
        """The obstacles to known nodes that were linked, as the last review has found them."""
        self._lost: list[tuple[Instant, str]] = []

    def link_up(self) -> None:
        self.up += 1
        self._lost = []

    def answered(self) -> None:
        """Somebody has, though without a link: no cable is to blame."""
        self._lost = []

    def link_down(self, now: Instant, name: str, *, lost: bool) -> None:
        """``lost``: for want of datagrams on its own path, and by a cable only while nobody is refused."""
        self.up -= 1
        if not lost or self._refusals.are_present(now):
            return
        self._lost = [(then, other) for then, other in self._lost if now - then < AT_ONCE and other != name]
        self._lost.append((now, name))

    def standing(self, now: Instant, target: Target) -> Standing:
        if (target.node is not None and self._targets.is_up(target.node)) or self._is_linked_elsewhere(target):
            return Standing.UP
        if self._targets.is_silent:
            return Standing.REFUSED
        if target.name is not None and not target.endpoints:
            return Standing.UNRESOLVED
        if self._refusals.of(now, target.node, target.endpoints) is not None:
            return Standing.REFUSED
        if target.left:
            return Standing.OFFLINE
        if target.recall_pause is not None:  # it may be gone for good, and what is there now be anybody's
            return Standing.CONNECTING if now - target.sought_since < KNOWN_UNREACHED_AFTER else Standing.OFFLINE
        if target.reflected_at is not None and now - target.reflected_at < NOTICED_LIFETIME:
            return Standing.OFFLINE if self._is_unlisted(target) else Standing.ITSELF
        if any(self.foreign.last(now, endpoint) is not None for endpoint in target.endpoints):
            return Standing.OFFLINE if self._is_unlisted(target) else Standing.ANOTHER_NETWORK
        if now - target.sought_since < self._patience(target):
            return Standing.CONNECTING
        received = self.last_received(now, target)
        if received is not None and received > target.sought_since:
            return Standing.ONE_WAY
        return Standing.OFFLINE if self._is_unlisted(target) else Standing.UNREACHABLE

    def _is_linked_elsewhere(self, target: Target) -> bool:
        """Whether a configured peer cannot be tried from here, and a linked node advertises the addresses as its own:
        another one would be seen once there is a route.
        """
        if target.name is None or target.node is not None or not target.endpoints:
            return False
        if not self._targets.are_at_one_linked(target.endpoints):
            return False
        return self._obstacles.of(target.endpoints) is not None

    def _is_unlisted(self, target: Target) -> bool:
        """Whether a node that this one never met is one that nobody has a link with: it ended before that, and what
        it advertised outlasts it by up to a minute.
        """
        if target.node is None or target.name is not None or target.was_linked:
            return False
        return not self._is_listed(target.node)

    def _is_foreign(self, now: Instant, target: Target) -> bool:
        return self.standing(now, target) is Standing.ANOTHER_NETWORK

    def why(self, now: Instant, target: Target) -> str:
        """The reason for which the target is refused, or refuses this node, in words."""
        if self._targets.is_silent:
            return OWN_REVOKED
        refused = self._refusals.of(now, target.node, target.endpoints)
        return refused.reason.replace("_", " ") if refused else ""

    def last_received(self, now: Instant, target: Target) -> Instant | None:
        """The time at which a handshake last came from where the target is sought."""
        times = (self._inits.last(now, endpoint) for endpoint in target.endpoints)
        return max((then for then in times if then is not None), default=None)

    def problems(self, now: Instant) -> Iterator[Problem]:
        """One for each node that is out of reach; one in all for those whose links were all lost at once. Who is linked
        by a path is of this network, whatever comes under its address.
        """
        self.foreign.forget(self._linked_at())
        self._lookups = LOOKUPS_PER_REVIEW
        self._without_route = {}
        self._without_route = dict(self._find_without_route(now))
        self._behind, seen = {}, set[NodeIndex]()
        for target, next_hop in self._find_behind(now):
            self._behind.setdefault(next_hop, []).append(target.label)
            seen.update(() if target.node is None else (target.node,))
        lost_at = self._lost[-1][0] if self.up == 0 and len(self._lost) > 1 else None
        if lost_at is not None:
            yield self._all_lost()
        for target in [*self._targets.apart(), *self._targets.configured()]:
            if target.node not in seen and (lost_at is None or self._is_apart_from_loss(now, target, lost_at)):
                problem = self._unreached(now, target)
                if problem is not None:
                    yield problem
            if target.node is not None:
                seen.add(target.node)
        if lost_at is None:
            yield from self._none_of_remembered(now)
        yield from self._foreign(now)

    def _find_without_route(self, now: Instant) -> Iterator[tuple[Target, Obstacle]]:
        for target in self._targets.apart():
            if target.was_linked and not target.left and now - target.sought_since >= UNREACHED_AFTER:
                obstacle = self._obstacle(target)
                if obstacle is not None:
                    yield target, obstacle

    def _patience(self, target: Target) -> Duration:
        """How long it may be without a link before that is a problem."""
        is_sure = target.name is not None or target in self._without_route
        return UNREACHED_AFTER if is_sure else KNOWN_UNREACHED_AFTER

    def _is_apart_from_loss(self, now: Instant, target: Target, lost_at: Instant) -> bool:
        """Whether a target's problem is not that of the links that were lost by then: it was one before, or something
        comes from there.
        """
        if self.standing(now, target) in (Standing.ONE_WAY, Standing.UNREACHABLE):
            return lost_at - target.sought_since >= self._patience(target)
        return True

    def _none_of_remembered(self, now: Instant) -> Iterator[Problem]:
        """Nobody else is known, and none of the remembered nodes answers. One of many may be gone for good."""
        if self.up or any(self._targets.configured()) or any(self._targets.learned()):
            return
        recalled = self._targets.recalled()
        silent = [target for target in recalled if not (target.left or self._targets.is_revoked(target))]
        if not silent or any(self._refusals.of(now, target.node, target.endpoints) for target in silent):
            return
        all_tried = max(target.sought_since for target in silent) + len(silent) / RECALLED_PER_SECOND
        if now - all_tried < KNOWN_UNREACHED_AFTER:
            return
        places = [f"{target.label} at {target.endpoints[0]}" for target in silent if target.endpoints]
        many = len(silent) > 1
        which = f"none of the {len(silent)} remembered nodes" if many else "the one remembered node"
        tried, so = ("answers" if many else "does not answer"), "so this node has no link"
        text = f"{which} {tried} ({_first(places)}), {so}: check this machine's network and firewall, or name a node "
        text += "with --peer"
        obstacle = self._obstacle_to_each([target for target in silent if target.endpoints])
        if obstacle is not None:
            tried = "can be tried" if many else "cannot be tried"
            text = f"{which} {tried} ({_first(places)}): {obstacle.cause}, {so}: {obstacle.advice}"
        yield Problem("no_remembered_node", "this node", text)

    def _obstacle_to_each(self, targets: Sequence[Target]) -> Obstacle | None:
        """The first one's, where each has one; as many are looked at as a review may."""
        found = [self._obstacles.of(target.endpoints) for target in targets[:LOOKUPS_PER_REVIEW]]
        return found[0] if found and all(found) else None

    def _all_lost(self) -> Problem:
        names = [name for _, name in self._lost]
        return Problem(
            "all_links_lost",
            "this node",
            f"all {len(names)} links were lost at once ({_first(names)}): check this machine's network, that is its "
            f"cable or Wi-Fi, its addresses and routes, and its firewall",
        )

    def _unreached(self, now: Instant, target: Target) -> Problem | None:
        standing = self.standing(now, target)
        obstacle = self._obstacle(target) if standing in (Standing.ONE_WAY, Standing.UNREACHABLE) else None
        behind = self._behind.get(target.node, ()) if target.node is not None else ()
        return unreached(target, standing, obstacle, behind)

    def _find_behind(self, now: Instant) -> Iterator[tuple[Target, NodeIndex]]:
        """Nodes that were lost with the next hop of their route, whose problem names them, and that next hop."""
        lost = (Standing.CONNECTING, Standing.ONE_WAY, Standing.UNREACHABLE)
        for target in self._targets.apart():
            next_hop = None if target.left else target.was_via
            others = () if next_hop is None else self._targets.of(next_hop)
            if next_hop is not None and any(self.standing(now, other) in lost for other in others):
                yield target, next_hop

    def _obstacle(self, target: Target) -> Obstacle | None:
        """The obstacle at this end. Routes are looked up for all configured peers, and so many others."""
        if target in self._without_route:
            return self._without_route[target]
        look = target.name is not None or self._lookups > 0
        if target.name is None and look:
            self._lookups -= 1
        return self._obstacles.of(target.endpoints, look=look)

    def _foreign(self, now: Instant) -> Iterator[Problem]:
        """Nodes that seek this one with the network file of another network, unless it seeks them too: one
        each, one in all where they are many, for anybody can make them up.
        """
        lasting = list(self.foreign.lasting(now))
        if not lasting:
            return
        targets = (*self._targets.learned(), *self._targets.configured())
        sought = {endpoint for target in targets if self._is_foreign(now, target) for endpoint in target.endpoints}
        sources = [str(endpoint) for endpoint in lasting if endpoint not in sought]
        if len(sources) > SHOWN:
            yield Problem("foreign_network", "many", _of_another_network(_first(sources)))
            return
        for source in sources:
            yield Problem("foreign_network", source, _of_another_network(source))


def _first(names: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _of_another_network(places: str) -> str:
    return (
        f"handshakes of another network, or with another network key, come from {places} and get no answer: if a node "
        f"there is meant to be of this network, see that treecast network show has one id and one fingerprint on both "
        f"machines; if not, nothing is wrong here: it has this node's address from its --peer, or "
        f"from nodes that it knows or knew"
    )
