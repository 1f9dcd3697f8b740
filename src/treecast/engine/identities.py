"""One identity on two machines, as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.addresses import Endpoint
from treecast.base.errors import IdentityTakenError
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Instant, iso_date
from treecast.broadcast.broadcast import Broadcast
from treecast.broadcast.new_epochs import OverAndOver
from treecast.engine.node_table import NodeTable
from treecast.identity.certificate import Certificate
from treecast.identity.newest import another_node
from treecast.identity.node import CLOCK_TOLERANCE_S
from treecast.links.refusals import one_index

ADVICE = f"end it on one of them, and delete its directory there; {another_node('there')}"
STOLEN = (
    "; if one of them is not yours, the keys are stolen: where the CA key is, run treecast node revoke {name}, then "
    "treecast node add {name} --replace --dir {name}-new"
)


def twice(
    now: Instant, broadcast: Broadcast, own_name: str, own: tuple[Endpoint, ...], name: Callable[[NodeIndex], str]
) -> Iterator[Problem]:
    """This node, or others, that run on two machines."""
    twin = broadcast.twins.twin(now)
    if twin is not None:
        text = f"node {own_name} runs on two machines, here ({_where(own)}) and at {_where(twin.endpoints)}: {ADVICE}"
        text += STOLEN.format(name=own_name)
        yield Problem("identity_twice", own_name, text)
    for node, one, other in broadcast.other_twins.twice(now):
        text = f"node {name(node)} runs on two machines, at {_where(one)} and at {_where(other)}: {ADVICE}"
        text += STOLEN.format(name=name(node))
        yield Problem("identity_twice", name(node), text)


def over_and_over(now: Instant, broadcast: Broadcast, nodes: NodeTable) -> Iterator[Problem]:
    """Nodes that begin one epoch after the other, wherever they run; but those of which two runs alternate."""
    alternating = {node for node, _, _ in broadcast.other_twins.twice(now)}
    for begun in broadcast.new_epochs.over_and_over(now):
        if begun.node not in alternating:
            name, who = nodes.name(begun.node), nodes.name_and_address(begun.node)
            yield Problem("epochs_over_and_over", name, _over_and_over(begun, name, who))


def _over_and_over(begun: OverAndOver, name: str, who: str) -> str:
    if not begun.are_of_now:
        return (
            f"{begun.count} epochs of {who} came to this node in the last minute, of runs that began long before by "
            f"their own time, at {_where(begun.places)}: if {name} is off, or was started once, some member repeats "
            "what it said in earlier runs, which does it no harm and ends by itself; if it is started all the time, "
            f"its log says why, and its clock is to be set; if it runs on several machines, {ADVICE}"
        )
    text = (
        f"{who} began {begun.count} epochs in the last minute, as if it were started all the time, at "
        f"{_where(begun.places)}, and each has all nodes learn it anew: if it fails there, its log says why; if it "
        f"runs on several machines, {ADVICE}"
    )
    return text + STOLEN.format(name=name)


def one_name_twice(
    nodes: NodeTable, me: NodeIndex, own: tuple[Endpoint, ...], where: Callable[[NodeIndex], tuple[Endpoint, ...]]
) -> Iterator[Problem]:
    """Names that several nodes have: the network's directory was used in two places."""
    for name, indices in nodes.of_one_name():
        places = ", ".join(f"n{index} at {_where(own if index == me else where(index))}" for index in indices[:4])
        text = (
            f"{len(indices)} nodes are called {name} (by index: {places}), as the network's directory was used in two "
            f"places: add one of them again under another name where the CA key is (treecast node add OTHER-NAME)"
        )
        yield Problem("name_twice", name, text)


def must_end(now: Instant, broadcast: Broadcast, own_name: str) -> IdentityTakenError | None:
    """Why this node is to end: it is the younger of the two, and the other can know."""
    twin = broadcast.twins.must_end(now)
    if twin is None:
        return None
    where = _where(twin.endpoints)
    text = f"node {own_name} runs on another machine since before this one (at {where}), so this one ends: "
    text += f"if {own_name} is to run here, end it there; if not, delete its directory here; {another_node('here')}"
    return IdentityTakenError(text, where)


def replaced(own_name: str, newer: Certificate) -> IdentityTakenError:
    """Why this node is to end: its index has a newer certificate, with other keys."""
    if newer.name != own_name:
        return IdentityTakenError(f"this node ends: {one_index(own_name, newer.name, newer.node_index)}")
    day = iso_date(newer.not_before_s + CLOCK_TOLERANCE_S)[:10]
    return IdentityTakenError(
        f"node {own_name} was added again on {day} (treecast node add {own_name} --replace): this directory's "
        f"certificate is replaced, so this node ends: run {own_name} from its new directory, and delete this one"
    )


def _where(endpoints: tuple[Endpoint, ...]) -> str:
    return ", ".join(map(str, endpoints[:4])) or "an unknown address"
