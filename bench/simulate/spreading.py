"""One advertisement over 16 links a node, without engines: what disseminations cost at each size."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from statistics import mean

from treecast.base.time import Duration
from treecast.sim import graphs
from treecast.sim.locations import Locations

SEED = 1
LOSS = 0.02
TRIALS = 5


@dataclass(frozen=True, slots=True)
class Dissemination:
    """One way to spread it: means of the trials. ``reached_99_ms``: None where a trial missed more than 1 %."""

    nodes: int
    name: str
    messages_per_node: float
    reached_99_ms: float | None
    degree: float


def disseminations(nodes: int) -> list[Dissemination]:
    rng = Random(SEED)
    locations = Locations(rng)
    drawn = [locations.draw() for _ in range(nodes)]

    def delay(one: int, other: int) -> Duration:
        return drawn[one].delay(drawn[other])

    graph = graphs.near_and_far(nodes, delay, rng, loss=LOSS)
    centre = min(range(0, nodes, max(nodes // 16, 1)), key=lambda node: mean(graphs.shortest(graph, node)[1].values()))
    parents, _ = graphs.shortest(graph, centre)
    tree = graphs.along(graph, parents.items())
    return [_dissemination(nodes, "all links", graph, rng), _dissemination(nodes, "one shared tree", tree, rng)]


def _dissemination(nodes: int, name: str, graph: graphs.Graph, rng: Random) -> Dissemination:
    spreads = [graphs.spread(graph, rng.randrange(nodes), rng) for _ in range(TRIALS)]
    reached = [spread.reached_share_after(0.99, nodes) for spread in spreads]
    times = [time for time in reached if time is not None]
    return Dissemination(
        nodes,
        name,
        round(mean(spread.messages for spread in spreads) / nodes, 2),
        round(mean(times) * 1000, 1) if len(times) == len(reached) else None,
        round(mean(len(links) for links in graph.values()), 1),
    )
