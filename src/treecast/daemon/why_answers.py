"""The answer to ``why``: which decision made a link, the way to a node, or the trees of a group."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from treecast.api.trace_records import Decision, Why
from treecast.base.addresses import IPAddress
from treecast.base.flows import Flow
from treecast.base.ids import NO_NODE
from treecast.base.link_reasons import LinkReason
from treecast.base.on_demand import Demand
from treecast.base.plan_causes import PlanDecision, RefusedRelay
from treecast.base.rates import in_rate
from treecast.base.time import Instant, in_time
from treecast.base.tree_modes import TreeMode
from treecast.engine.tree_view import LinkedSince, RootedStream, TakenStream
from treecast.engine.view import Known, View
from treecast.links.standing import Standing

_CHOSEN = {
    LinkReason.MESH: "a mesh, each node links with all that it knows",
    LinkReason.RING: "chosen, one of the next on the ring of node ids, which holds the network together",
    LinkReason.FAR: "chosen, a far one on the ring of node ids, which keeps ways short",
    LinkReason.NEAR: "chosen, for its round trip is short",
    LinkReason.ACCEPTED: "accepted, for the other end has chosen it",
    LinkReason.STATIC: "kept, for --peer names it",
    LinkReason.ON_DEMAND: "made on demand, for as much would go there by other nodes else",
}


class WhyAnswers:
    """Made anew for each request: ``now`` is the moment it came."""

    def __init__(self, view: View, now: Instant) -> None:
        self._view = view
        self._now = now

    def about(self, what: str) -> Why:
        """Decisions about a node, by its name, or a group."""
        try:
            decisions = list(self._of_group(ip_address(what)))
            none = f"no stream of {what} begins here, nor comes here by a tree: treecast groups shows who wants it"
        except ValueError:
            decisions = [one for known in self._view.known(self._now) if known.name == what for one in self._of(known)]
            none = f"no node {what} is known or sought here: see treecast peers, or give a group such as 239.1.1.1"
        return Why(what, decisions, "" if decisions else none)

    # nodes

    def _of(self, known: Known) -> Iterator[Decision]:
        if known.standing is not Standing.UP or known.node is None:
            why = f"{known.standing}: {known.why}" if known.why else str(known.standing)
            sought = ", ".join(map(str, known.endpoints)) or "no address that is known"
            yield Decision("link", f"there is none: {why}; it is sought at {sought}")
            return
        linked = self._view.linked_since(self._now, known.node)
        told = [f"--peer {name}" if name else "other nodes told of it" for name in known.sought_as]
        because = " and ".join(dict.fromkeys(told)) or "it has begun the link itself, and nobody told of it"
        if known.via:
            yield Decision("link", f"there is none: {because}; no path of its own answers, or --max-links chose others")
        else:
            yield self._decision("link", f"up: {because}; {_CHOSEN[self._view.link_reason(known.node)]}", linked.up)
        demand = self._view.demand(known.node)
        if demand is not None:
            yield self._decision("demand", self._demand(demand), demand.since)
        yield self._decision("node route" if known.via else "path", self._way(known, linked), linked.routed)
        yield Decision("relay", self._relay(linked))

    def _demand(self, demand: Demand) -> str:
        rate, config = in_rate(demand.rate_bps), demand.config
        if demand.since is None:
            left = in_time(max(demand.paused_until - self._now, 0))
            tried = _count(demand.failures, "attempt")
            return f"{rate} to it and from it; {tried} to make a link on demand came to nothing, the next one in {left}"
        until = f"until less than {in_rate(config.below_bps)} goes for {in_time(config.below_for)}"
        return f"{rate} to it and from it, over a moving 10 s; a link is wanted on demand, {until}"

    def _way(self, known: Known, linked: LinkedSince) -> str:
        if known.via:
            return f"by {known.via}, whose links lead there soonest: nothing comes by a path of its own"
        rtt = "not measured yet" if linked.rtt_ms is None else f"{linked.rtt_ms:.1f} ms"
        where = ", ".join(map(str, known.endpoints))
        return f"direct, to {where}: it answers, and a path goes before any node route; round trip {rtt}"

    def _relay(self, linked: LinkedSince) -> str:
        if not linked.relaying.relays:
            return "it sends on nothing for trees of this node: it runs with --no-relay"
        if not linked.may_relay:
            return "it sends on nothing for trees of this node: its certificate has no role relay"
        if linked.refused is not None:
            return self._refused(linked.refused)
        most = linked.relaying.max_children
        bound = "it names no bound" if most is None else f"it takes {most} children over all trees, by its own word"
        return f"it may send on streams of this node: {bound}"

    # groups

    def _of_group(self, group: IPAddress) -> Iterator[Decision]:
        rooted = list(self._view.rooted_streams(group))
        for stream in rooted:
            yield from self._rooted(stream)
        if any(stream.plan is not None for stream in rooted):
            for refused in self._view.refused_relays(self._now):
                yield Decision(f"relay {self._view.name(refused.node)}", self._refused(refused))
        for taken in self._view.taken_streams(group):
            yield from self._taken(taken)

    def _rooted(self, stream: RootedStream) -> Iterator[Decision]:
        name, members = _name(stream.flow, "this node", stream.stream), _count(stream.members, "member")
        if stream.mode is TreeMode.AUTHENTICATED:
            yield Decision(name, f"copies to each of {members}: the group is authenticated (--authenticated)")
        elif stream.mode is TreeMode.REPLICATED:
            yield Decision(name, f"star: this node sends to each of {members} itself, as --replicate has it")
        elif stream.plan is None:
            yield Decision(name, f"star: this node sends to each of {members} itself, as it has no --max-children")
        else:
            yield self._decision(
                name,
                f"planned over measured links{_by_two(stream.mode, stream.plan)}, to {members}, within its bound "
                f"(--max-children); made so because {stream.plan.cause.value}"
                + (f"; {stream.plan.missed} have no place, and get it from here" if stream.plan.missed else ""),
                stream.plan.changed_at,
            )
        yield self._decision(f"{name}, key", f"epoch {stream.epoch}, key {stream.key_id}: in use", stream.since)
        yield Decision(
            f"{name}, so far",
            f"{_count(stream.epochs, 'epoch')}, {_count(stream.replans, 'replan')}, "
            f"{_count(stream.grafts, 'graft')} reported",
        )
        for node in stream.mute:
            yield Decision(f"{name}, {self._view.name(node)}", "sent nothing: it acknowledges no key or place")

    def _taken(self, stream: TakenStream) -> Iterator[Decision]:
        root = self._view.name(stream.root)
        name = _name(stream.flow, root, stream.stream)
        if not stream.places:
            yield Decision(name, f"copies from {root}, sealed for this node alone: it has no place on a tree yet")
        for place in stream.places:
            backup = "" if place.backup == NO_NODE else f", backup {self._view.name(place.backup)}"
            grafted = ("", "; grafted: the parent is silent", "; grafted: the parent sends too little")[place.graft]
            what = f"from {self._view.name(place.parent)}{backup}: so {root}, its root, placed this node in epoch"
            yield Decision(
                name, f"{what} {place.epoch}{grafted}; treecast why there has the reason", round(place.since_s, 3)
            )

    def _refused(self, refused: RefusedRelay) -> str:
        left = in_time(max(refused.until - self._now, 0))
        if refused.most:
            return f"it gets {_count(refused.most, 'child', 'children')} at most for {left}: it refused more"
        return f"it gets no children for {left}: most that it had did without it, or it refused all"

    def _decision(self, subject: str, text: str, since: Instant | None) -> Decision:
        return Decision(subject, text, None if since is None else round(max(self._now - since, 0), 3))


def _name(flow: Flow, root: str, stream: int) -> str:
    group = str(flow.prefix or flow.group)
    source = "any source" if flow.source is None else str(flow.source)
    return f"stream {stream} of {root} ({group} from {source})"


def _by_two(mode: TreeMode, plan: PlanDecision) -> str:
    if mode is not TreeMode.PROTECTED:
        return ""
    if plan.why_one is not None:
        return f" as one tree, against --protect, for {plan.why_one.value}"
    return ", so that each gets it though any one relay dies (--protect)"


def _count(number: int, word: str, plural: str = "") -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"
