"""Traces: who is asked, who is answered, and what becomes of queries and answers that are too many or unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from random import Random

from treecast.base.commands import Command, SendControl
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.installed_trees import InstalledPlace, InstalledRoot, InstalledStream, Volume
from treecast.base.limits import MAX_GATHERINGS
from treecast.base.time import Instant
from treecast.dataplane.root_trees import RootTrees
from treecast.dataplane.tree_gatherings import (
    GATHERINGS_AT_ONCE,
    MAX_TREES_PER_GATHERING,
    OF_ONE_AT_ONCE,
    ROUNDS,
    TreeGatherings,
)
from treecast.dataplane.tree_reports import QUERIES_AT_ONCE, TreeReports
from treecast.dataplane.tree_traces import MAX_PARTS_PER_TRACE, REQUESTS_AT_ONCE, TreeTraces
from treecast.wire.control import (
    ControlMessage,
    TracedTree,
    TraceRequest,
    TreeQuery,
    TreeReport,
    emit_control,
    parse_control,
)
from treecast.wire.traced_trees import Place

ME, ROOT = NodeIndex(1), NodeIndex(9)
MEMBERS = tuple(NodeIndex(node) for node in (2, 3, 4))
GROUP, OTHER_GROUP = IPv4Address("239.1.1.1"), IPv4Address("239.1.1.2")
START = Instant(100.0)
REQUEST = TraceRequest(7, GROUP.packed, b"")


@dataclass
class Installed:
    """A data plane with one tree, whose next hops are all members."""

    sent: int = 0
    streams: dict[tuple[int, int], InstalledStream] = field(default_factory=dict)

    def installed_stream(self, root: NodeIndex, stream: StreamId) -> InstalledStream | None:
        return self.streams.get((root, stream))

    def installed_root(self, stream: StreamId) -> InstalledRoot | None:
        return InstalledRoot(TreeEpoch(1), KeyId(1), MEMBERS, (), ())

    def sent_by_streams(self, streams: Sequence[StreamId]) -> dict[StreamId, Volume]:
        self.sent += 100
        return dict.fromkeys(streams, (self.sent, 0))


def taken(commands: list[Command]) -> list[tuple[NodeIndex, ControlMessage]]:
    found = [(one.peer, parse_control(one.data)) for one in commands if isinstance(one, SendControl)]
    commands.clear()
    return found


class Root:
    """A root with a tree of three members, in use."""

    def __init__(self) -> None:
        self.drops = Drops()
        self.trees = RootTrees(TreeEpoch(1), self.drops, Random(1), ME)
        self.trees.want(START, Flow(0, GROUP, None), MEMBERS)
        self.trees.used(START, StreamId(1))
        self.traces = TreeTraces(ME, self.drops, TreeGatherings(self.trees, Installed(), 0))

    def advance(self, now: float) -> list[tuple[NodeIndex, ControlMessage]]:
        self.traces.advance(Instant(now))
        return taken(self.traces.commands)

    def dropped(self, reason: str) -> int:
        return self.drops.snapshot().get(reason, 0)


def report(query: int, time_s: float, packets: int) -> TreeReport:
    place = Place(1, 1, ME, 0, 0, 5, 700, 0, 0, ())
    return TreeReport(query, 1, round(time_s * 1e6), True, (packets, packets * 1000), (place,))


def test_a_root_asks_each_node_until_it_answered_twice_and_shows_who_did_not_after_two_seconds() -> None:
    root = Root()
    root.traces.request(START, MEMBERS[0], REQUEST)
    asked = 0
    for number in range(ROUNDS):
        now = START + 0.5 * number
        for node, query in root.advance(now):
            assert isinstance(query, TreeQuery)
            asked += node == MEMBERS[2]
            if node != MEMBERS[2]:
                root.traces.report(Instant(now), node, report(query.query, now, 100 * number))
    assert asked == ROUNDS
    ((to, answer),) = root.advance(START + 2.0)
    assert to == MEMBERS[0] and isinstance(answer, TracedTree)
    assert (answer.query, answer.part, answer.parts) == (7, 0, 1)
    assert [(node.node, node.answered) for node in answer.nodes] == [(2, True), (3, True), (4, False)]
    assert [node.rate for node in answer.nodes] == [(200_000, 1_600_000), (200_000, 1_600_000), None]
    assert answer.sent == (50_000, 0), "100 in two seconds"


def test_who_answers_twice_ends_it_early_and_a_second_request_gets_the_same() -> None:
    root = Root()
    root.traces.request(START, MEMBERS[0], REQUEST)
    for number in range(3):
        now = START + 0.5 * number
        for node, query in root.advance(now):
            assert isinstance(query, TreeQuery)
            root.traces.report(Instant(now), node, report(query.query, now, number))
    assert [to for to, _ in root.advance(START + 1.0)] == [MEMBERS[0]]
    root.traces.request(Instant(START + 1.2), MEMBERS[1], REQUEST)
    assert [to for to, _ in taken(root.traces.commands)] == [MEMBERS[1]]
    root.advance(START + 2.1)
    assert root.traces.next_deadline() is None, "nothing is kept"


def test_who_is_on_no_tree_of_the_group_gets_an_empty_answer_at_once_and_nobody_is_asked() -> None:
    root = Root()
    for asker, request in ((ROOT, REQUEST), (MEMBERS[0], TraceRequest(8, OTHER_GROUP.packed, b""))):
        root.traces.request(START, asker, request)
        ((to, answer),) = taken(root.traces.commands)
        assert to == asker and isinstance(answer, TracedTree)
        assert (answer.query, answer.parts, answer.nodes) == (request.query, 0, ())
    assert root.advance(START) == []


def test_of_many_who_are_on_no_tree_so_many_are_answered_at_once() -> None:
    root = Root()
    askers = [NodeIndex(node) for node in range(20, 20 + 2 * GATHERINGS_AT_ONCE)]
    for asker in askers:
        root.traces.request(START, asker, REQUEST)
    assert [to for to, _ in taken(root.traces.commands)] == askers[:GATHERINGS_AT_ONCE]
    assert root.dropped("trace_request_rate") == GATHERINGS_AT_ONCE


def test_who_is_on_one_tree_of_a_group_learns_nothing_of_another() -> None:
    root = Root()
    source = IPv4Address("10.0.0.1")
    root.trees.want(START, Flow(0, GROUP, source), MEMBERS[1:])
    root.trees.used(START, StreamId(2))
    for asker in MEMBERS[:2]:
        root.traces.request(START, asker, REQUEST)
    answers: list[tuple[NodeIndex, ControlMessage]] = []
    for number in range(ROUNDS + 1):
        answers = root.advance(START + 0.5 * number)
    told = [(to, part.stream) for to, part in answers if isinstance(part, TracedTree)]
    assert told == [(MEMBERS[0], 1), (MEMBERS[1], 1), (MEMBERS[1], 2)]


def test_of_a_group_with_many_sources_the_first_trees_are_traced_and_any_other_by_its_source() -> None:
    root = Root()
    streams = range(1, MAX_TREES_PER_GATHERING + 4)
    for stream in streams[1:]:
        root.trees.want(START, Flow(0, GROUP, IPv4Address("10.0.0.0") + stream), MEMBERS)
        root.trees.used(START, StreamId(stream))

    def traced(began: float, source: IPv4Address | None) -> tuple[list[int], list[int]]:
        """The streams that nodes are queried for, and those of the answer."""
        request = TraceRequest(7, GROUP.packed, source.packed if source is not None else b"")
        root.traces.request(Instant(began), MEMBERS[0], request)
        said = [one for number in range(ROUNDS + 1) for _, one in root.advance(began + 0.5 * number)]
        queried = {one.stream for one in said if isinstance(one, TreeQuery)}
        return sorted(queried), [one.stream for one in said if isinstance(one, TracedTree)]

    first, last = [*streams[:MAX_TREES_PER_GATHERING]], streams[-1]
    assert traced(START, None) == (first, first)
    by_source = [1, last]  # the tree of any source carries this one, too
    assert traced(START + 10.0, IPv4Address("10.0.0.0") + last) == (by_source, by_source)


def test_how_many_trees_are_left_out_is_named_to_who_is_on_them() -> None:
    root, only_there = Root(), NodeIndex(20)
    for stream in range(2, MAX_TREES_PER_GATHERING + 1):
        root.trees.want(START, Flow(0, GROUP, IPv4Address("10.0.0.0") + stream), MEMBERS)
        root.trees.used(START, StreamId(stream))
    for stream, members in ((17, MEMBERS), (18, MEMBERS[1:]), (19, (only_there,))):
        root.trees.want(START, Flow(0, GROUP, IPv4Address("10.0.0.0") + stream), members)
        root.trees.used(START, StreamId(stream))
    assert root.traces.begin(START, 5, (GROUP, None), [ROOT])
    for asker in (*MEMBERS[:2], only_there, NodeIndex(21)):
        root.traces.request(START, asker, REQUEST)
    answers = [one for number in range(ROUNDS + 1) for one in root.advance(START + 0.5 * number)]
    said = {(to, one.parts, one.trees_left_out) for to, one in answers if isinstance(one, TracedTree)}
    assert said == {(MEMBERS[0], 16, 1), (MEMBERS[1], 16, 2), (only_there, 0, 1), (NodeIndex(21), 0, 0)}
    root.traces.traced(START, ROOT, TracedTree(5, 0, 0, 0, GROUP.packed, None, b"", 0, 0, 0, 0, None, 0, (), 4))
    root.advance(START + 3.0)
    result = root.traces.take(5)
    assert result is not None
    assert (result.silent, result.left_out) == ((), ((ME, 3), (ROOT, 4)))


def test_requests_of_one_node_have_a_budget_of_their_own() -> None:
    root = Root()
    for _ in range(REQUESTS_AT_ONCE + 3):
        root.traces.request(START, MEMBERS[0], REQUEST)
    assert root.dropped("trace_request_rate") == 3
    root.traces.request(START, MEMBERS[1], REQUEST)
    assert root.dropped("trace_request_rate") == 3
    root.traces.forget(MEMBERS[0])
    root.traces.request(Instant(START + 0.1), MEMBERS[0], REQUEST)
    assert root.dropped("trace_request_rate") == 3


def test_requests_without_end_begin_so_many_gatherings_and_are_counted() -> None:
    root = Root()
    begun, askers = 0, (*MEMBERS, *(NodeIndex(node) for node in range(20, 30)))
    root.trees.want(START, Flow(0, GROUP, None), askers)
    for asker in askers:
        for number in range(OF_ONE_AT_ONCE + 3):
            source = IPv4Address("10.0.0.1") + 100 * asker + number
            root.traces.request(START, asker, TraceRequest(number, GROUP.packed, source.packed))
        begun = min(begun + OF_ONE_AT_ONCE, GATHERINGS_AT_ONCE, MAX_GATHERINGS)
        queries = {query.query for _, query in root.advance(START) if isinstance(query, TreeQuery)}
        assert len(queries) == (OF_ONE_AT_ONCE if asker in askers[: GATHERINGS_AT_ONCE // OF_ONE_AT_ONCE] else 0)
    assert begun == GATHERINGS_AT_ONCE
    assert root.dropped("trace_request_rate") == len(askers) * (OF_ONE_AT_ONCE + 3) - begun


def test_reports_that_nobody_asked_for_change_nothing_and_are_counted() -> None:
    root = Root()
    root.traces.request(START, MEMBERS[0], REQUEST)
    (_, query), *_ = root.advance(START)
    assert isinstance(query, TreeQuery)
    for node, answer in (
        (ROOT, report(query.query, 100.0, 1)),
        (MEMBERS[0], report(query.query + 1, 100.0, 1)),
        (MEMBERS[0], TreeReport(query.query, 2, 0, True, None, ())),
    ):
        root.traces.report(START, node, answer)
    assert root.dropped("tree_report_unexpected") == 3


def test_a_node_answers_its_roots_query_with_what_is_installed_and_no_more_of_them_than_so_many() -> None:
    drops, commands = Drops(), list[Command]()
    place = InstalledPlace(TreeEpoch(3), KeyId(4), NodeIndex(5), NodeIndex(6), (NodeIndex(7),), 1, 2.5)
    installed = Installed(streams={(ROOT, 1): InstalledStream((10, 20), [place])})
    quality = {5: (0.25, 0.5), 0: (1.0, 1.0)}
    reports = TreeReports(drops, installed, lambda *_: True, quality.__getitem__, commands)
    reports.query(START, ROOT, TreeQuery(1, 1))
    reports.query(START, NodeIndex(8), TreeQuery(2, 1))
    answers = dict(taken(commands))
    expected = Place(3, 4, 5, 6, 1, 2500, 250, 500_000, 1, (7,))
    assert answers[ROOT] == TreeReport(1, 1, round(START * 1e6), True, (10, 20), (expected,))
    other = answers[NodeIndex(8)]
    assert isinstance(other, TreeReport) and (other.received, other.places) == (None, ()), "it is no tree of that root"
    for _ in range(QUERIES_AT_ONCE + 1):
        reports.query(START, ROOT, TreeQuery(3, 1))
    assert drops.snapshot() == {"tree_query_rate": 2}
    reports.forget(ROOT)
    reports.query(START, ROOT, TreeQuery(4, 1))
    assert drops.snapshot() == {"tree_query_rate": 2}


def test_parts_of_answers_that_do_not_belong_together_or_come_from_others_are_counted() -> None:
    root = Root()
    traces = root.traces
    assert traces.begin(START, 5, (GROUP, None), [ROOT])
    ((to, request),) = [one for one in root.advance(START) if one[0] == ROOT]
    assert (to, request) == (ROOT, TraceRequest(5, GROUP.packed, b""))

    def part(number: int, parts: int, query: int = 5) -> TracedTree:
        return TracedTree(query, number, parts, 0, GROUP.packed, None, b"", 1, 1, 1, 0, None, 0, ())

    traces.traced(START, ROOT, part(0, 2))
    for sender, wrong in (
        (MEMBERS[0], part(1, 2)),
        (ROOT, part(2, 2)),
        (ROOT, part(1, 3)),
        (ROOT, part(0, 0)),
        (ROOT, part(1, 2, query=6)),
        (ROOT, part(0, MAX_PARTS_PER_TRACE + 1)),
    ):
        traces.traced(START, sender, wrong)
    assert root.dropped("traced_tree_unexpected") == 6
    traces.traced(START, ROOT, part(1, 2))
    for number in range(7):
        root.advance(START + 0.5 * number)
    result = traces.take(5)
    assert result is not None
    assert [(root_of, one.part) for root_of, one in result.trees if root_of == ROOT] == [(ROOT, 0), (ROOT, 1)]
    assert result.silent == ()
    assert traces.take(5) is None


def test_what_is_emitted_of_a_large_tree_fits_its_messages() -> None:
    assert all(len(emit_control(message)) <= 1196 for _, message in answers_of_a_large_tree())


def answers_of_a_large_tree() -> list[tuple[NodeIndex, ControlMessage]]:
    root = Root()
    many = [NodeIndex(4_000_000_000 + number) for number in range(1500)]
    root.trees.want(START, Flow(0, GROUP, None), many)
    root.traces.request(START, many[0], REQUEST)
    answers: list[tuple[NodeIndex, ControlMessage]] = []
    for number in range(ROUNDS + 1):
        answers = root.advance(START + 0.5 * number)
    assert {to for to, _ in answers} == {many[0]}
    parts = [message for _, message in answers if isinstance(message, TracedTree)]
    assert [part.part for part in parts] == list(range(parts[0].parts))
    assert sum(len(part.nodes) for part in parts) + parts[0].left_out == len(many)
    return answers
