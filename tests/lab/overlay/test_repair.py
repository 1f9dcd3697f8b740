"""A relay of a planned tree is killed while a stream of 1,000 packets a second goes by it: nobody below it misses one.

::

      n0, the source -----> two of n1..n6 -----> two each

All are in a full mesh on one switch, each with a bound of two children.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, wait_members, wait_received

GROUP, PORT = "239.63.0.1", 5063
NODES, MOST_CHILDREN = 7, 2
RATE_PPS = 1000
BEFORE, AFTER = 3000, 10_000
LONGEST_GAP_S = 1.0
"""By far longer than on a machine that does nothing else; a link is given up after seven times as long."""


@pytest.fixture
def overlay() -> Iterator[Overlay]:
    with Lab() as lab:
        lan = lab.switch()
        made = Overlay([lab.machine(f"n{number}", lan) for number in range(NODES)], lab.directory)
        bound = ("--max-children", str(MOST_CHILDREN))
        made[0].start(options=bound)
        for node in made.nodes[1:]:
            node.start(made[0].endpoint, options=bound)
        for node in made.nodes:
            node.wait_ready()
        made.wait_linked()
        yield made
        for node in made.nodes:
            print(f"--- {node.name}\n{node.log_tail()}")
        made.stop()


def repairs(node: TreecastNode) -> tuple[int, int, int]:
    counters = node.status().counters
    return counters["grafts"], counters["grafts_taken"], counters["replays"]


@pytest.mark.timeout(300)
def test_a_relay_that_is_killed_costs_nobody_a_datagram(overlay: Overlay) -> None:
    source, *members = overlay.nodes
    receivers = {node.name: Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in members}
    wait_members(source, GROUP, set(receivers))
    first = Sender(source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=500, size_bytes=1000)
    assert first.wait(20.0).sent == 500
    wait_until(lambda: any(node.status().children for node in members), LIMIT_S, "the tree is in use")

    count = BEFORE + AFTER
    stream = Sender(source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=count, size_bytes=1000)
    wait_received(receivers["n1"], 500 + BEFORE)
    before = {node.name: repairs(node) for node in members}
    dead = max(members, key=lambda node: node.status().children)
    orphans = dead.status().children
    dead.kill()
    sent = stream.wait(60.0)
    others = [node for node in members if node is not dead]
    for node in others:
        wait_received(receivers[node.name], 500 + count)
    after = {node.name: repairs(node) for node in others}
    print(f"{dead.name} had {orphans} children; (grafts, taken, replays) before {before}, after {after}; {sent}")
    gaps_ms = {}
    for node in others:
        got = receivers[node.name].stop()
        assert (got.received, got.lost, got.duplicated) == (500 + count, 0, 0), node.name
        gaps_ms[node.name] = max(one.longest_gap_ns for one in got.streams if one.received > BEFORE) / 1e6
    print(f"longest gaps, ms: {gaps_ms}")
    assert sum(grafts for grafts, *_ in after.values()) >= orphans > 0
    assert sum(taken for _, taken, _ in after.values()) >= orphans
    assert sum(replays for *_, replays in after.values()) > 0
    assert max(gaps_ms.values()) < 1000 * LONGEST_GAP_S
