"""A node below a relay does in the model what it did in the data plane (``docs/vectors.json``)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

from tests.unit.sim.test_relaying_in_the_model import endpoint
from treecast.base import events as e
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.sim.datagrams import Graft, Mark, SessionDatagram, Tick, TreeDatagram, TreeState
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.sessions import ModelSession
from treecast.sim.underlay import Underlay

VECTORS = Path(__file__).parents[3] / "docs" / "vectors.json"
ROOT, PARENT, ME, BACKUP, CHILD = map(NodeIndex, (1, 2, 3, 4, 5))
STREAM, EPOCH, KEY = StreamId(7), TreeEpoch(1), KeyId(1)


class Node:
    """The node, as the vector has it."""

    def __init__(self) -> None:
        self.underlay = Underlay(Random(1), delay=0.0)
        self.underlay.on_send = self.sent
        self.model = ModelForwarder(me=ME, endpoint=endpoint(ME), underlay=self.underlay, raise_event=self.raised)
        for peer in (ROOT, PARENT, BACKUP, CHILD):
            session = ModelSession(peer, ME, endpoint(peer), True, Instant(0.0), Instant(0.0))
            self.model.sessions.install(peer, session)
        self.model.accept_tree(ROOT, STREAM, TreeState(STREAM, EPOCH, KEY, PARENT, BACKUP, (CHILD,)))
        self.model.stopped = True  # its turns are those of the vector
        self.counter, self.failure, self.ticked = -1, 0, 0

    def sent(self, datagram: object) -> None:
        match datagram:
            case SessionDatagram(body=Graft(after=after)):
                self.counter = after
            case SessionDatagram(body=Tick()):
                self.ticked = 1

    def raised(self, event: e.Event) -> None:
        if isinstance(event, e.ParentFailed):
            self.failure = event.failure.value

    def come(self, counters: range, each: int, mark: int, *, alive: bool) -> None:
        for counter in counters:
            if each and counter % each == 0:
                datagram = TreeDatagram(ROOT, STREAM, EPOCH, KEY, counter, f"frame {counter}")
                self.underlay.send(endpoint(PARENT), endpoint(ME), datagram)
        self.underlay.run_until(self.underlay.now)
        if mark:
            self.model.receive_mark(BACKUP, Mark(ROOT, STREAM, EPOCH, mark), is_direct=True)
        session = self.model.sessions.current(PARENT)
        if alive and session is not None:
            session.received_at = self.underlay.now

    def turn(self) -> tuple[int, int, int]:
        self.counter, self.failure, self.ticked = -1, 0, 0
        self.model.turn_trees()
        return self.counter, self.failure, self.ticked


def test_a_node_grafts_reports_and_ticks_when_it_did_in_the_data_plane() -> None:
    nodes: dict[int, Node] = {}
    done: Counter[tuple[bool, int, int]] = Counter()
    for step in json.loads(VECTORS.read_text())["repair_steps"]:
        run, at_us, low, high, each, mark, alive, *expected = map(int, step.split())
        node = nodes.setdefault(run, Node())
        node.underlay.run_until(Instant((at_us - 500) / 1e6))
        node.come(range(low, high + 1), each, mark, alive=bool(alive))
        node.underlay.run_until(Instant(at_us / 1e6))
        did = node.turn()
        assert did == tuple(expected), step
        done[did[0] >= 0, did[1], did[2]] += 1
    assert {failure for _, failure, _ in done} == {0, 1, 2, 3, 4}
    assert {ticked for *_, ticked in done} == {0, 1}
    assert {grafts for grafts, *_ in done} == {True, False}
