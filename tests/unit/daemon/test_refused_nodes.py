"""Nodes whose frames and datagrams are refused are problems with their names, until nothing came for a minute."""

from __future__ import annotations

import pytest

from tests.sim.engine.test_permitted_groups import two
from treecast.base.counters import KEYS_MADE_ANEW, SESSION_BEGUN, Drops
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import MINUTE
from treecast.base.limits import MAX_NAMED_REFUSED
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.overruns import Overruns
from treecast.daemon.refused_nodes import FEWEST, FEWEST_SECONDS, FEWEST_SESSIONS, FULL, RefusedNodes
from treecast.identity.rights import Rights
from treecast.sim.world import MAY_BRIDGE

SOURCE, RATE = "source_of_another_node", "broadcast_signature_rate"
PLAIN = Rights()


class Node:
    """A node that is linked with another one, ``other``, and whose data plane counts what the test says."""

    def __init__(self, rights: Rights = MAY_BRIDGE) -> None:
        self.world, other, own = two(rights)
        self.me, self.other, self.name = own.index, other.index, other.identity.certificate.name
        address = other.identity.certificate.ipv4
        assert address is not None
        self.address = address.ip
        self.now = Instant(1000.0)
        self._waiting: list[tuple[NodeIndex, str, int]] = []
        self.view = own.engine.view
        self.nodes = RefusedNodes(self.view, self)

    def named(self, node: NodeIndex) -> tuple[str, str]:
        """Its name and address."""
        name, _, address = self.view.name_and_address(node).partition(" (")
        return name, address.rstrip(")")

    def take_refusals(self) -> list[tuple[NodeIndex, str, int]]:
        taken, self._waiting = self._waiting, []
        return taken

    def second(self, reason: str = SOURCE, count: int = 0, *of: int) -> list[Problem]:
        self.now = Instant(self.now + 1)
        if count:
            self._waiting += [(NodeIndex(node), reason, count) for node in of or (self.other,)]
        return list(self.nodes.problems(self.now))

    def seconds(self, reason: str, count: int, *of: int) -> list[Problem]:
        """The problems after as many seconds as make one."""
        for _ in range(FEWEST_SECONDS - 1):
            self.second(reason, count, *of)
        return self.second(reason, count, *of)


def test_who_sends_frames_of_others_is_named_until_a_minute_after_the_last() -> None:
    node = Node(PLAIN)
    assert node.second(count=FEWEST) == node.second(count=FEWEST) == []
    (problem,) = node.second(count=FEWEST)
    assert (problem.kind, problem.subject) == (SOURCE, node.name)
    assert problem.text.startswith(f"{node.name} ({node.address}) sent {3 * FEWEST} frames in the last minute as from ")
    assert f"run treecast node renew {node.name} --role bridge,relay where" in problem.text
    assert f"treecast node revoke {node.name}" in problem.text
    for _ in range(int(MINUTE) - 1):
        assert len(node.second()) == 1
    assert node.second() == []
    assert node.second(count=1) == [], "another episode, and few"


def test_a_bridge_is_not_advised_to_become_one() -> None:
    (problem,) = Node().seconds(SOURCE, FEWEST)
    assert "--role" not in problem.text and "look on its LAN" in problem.text


@pytest.mark.parametrize(("seconds", "count"), [(FEWEST_SECONDS - 1, 1000), (FEWEST_SECONDS, FEWEST // 4)])
def test_a_burst_or_few_are_no_problem(seconds: int, count: int) -> None:
    node = Node()
    assert [problem for _ in range(seconds) for problem in node.second(count=count)] == []


def test_the_count_is_that_of_the_last_minute_and_a_problem_does_not_come_and_go() -> None:
    node = Node()
    node.seconds(SOURCE, 100)
    for _ in range(int(MINUTE) - 1):
        node.second()
    (problem,) = node.second(count=1)
    assert "sent 1 frames in the last minute" in problem.text, "few, and it goes on"


def test_who_signs_more_broadcast_than_is_checked_is_named_and_so_is_this_machine() -> None:
    node = Node()
    (problem,) = node.seconds(RATE, 5000)
    assert (problem.kind, problem.subject) == ("broadcast_too_much", node.name)
    assert f"{node.name} ({node.address}) broadcasts more than" in problem.text
    assert "15000 of it were dropped here" in problem.text and "--broadcast-pps" in problem.text
    _, own = node.seconds(RATE, 10, node.me)
    assert (own.kind, own.subject) == ("broadcast_too_much", "this machine")
    assert "30 broadcast frames of this machine's programs" in own.text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("broadcast_signature", "it forges them, or sends on what another forges"),
        ("tree_rpf", "not this node's parent"),
        ("tree_wrapped", "of a stream that is not broadcast"),
        ("tree_tag", "without the tag"),
    ],
)
def test_a_neighbour_whose_broadcast_is_refused_is_named(reason: str, said: str) -> None:
    node = Node()
    (problem,) = node.seconds(reason, FEWEST)
    assert (problem.kind, problem.subject) == ("broadcast_refused", f"{node.name} {reason}")
    assert said in problem.text and f"{node.name} ({node.address}) sent this node 30" in problem.text


@pytest.mark.parametrize("reason", FULL)
def test_a_full_table_is_one_problem_with_the_name_of_the_node_with_most(reason: str) -> None:
    node = Node()
    overruns = Overruns(lambda: {reason: 75}, node.nodes.most)
    assert node.seconds(reason, 20) == node.second(reason, 5, node.me) == []
    (problem,) = overruns.problems(node.now)
    assert (problem.kind, problem.subject) == ("no_room", reason)
    assert f"({reason}); 60 of 65 in the last minute are of {node.name} ({node.address}): find out" in problem.text


def test_a_full_queue_of_advertisements_names_who_brought_them_and_who_signed_them() -> None:
    node, reason = Node(), "advertisement_queue_full"
    assert node.seconds(reason, 20) == []

    def text() -> str:
        (problem,) = Overruns(lambda: {reason: 75}, node.nodes.most).problems(node.now)
        return problem.text

    own, other = (f"{name} ({address})" for name, address in (node.named(node.me), (node.name, node.address)))
    brought = f"60 of 60 in the last minute were brought by {other}"
    assert f"60 of 60 in the last minute are of {other}: find out" in text()
    assert node.second(reason + "_as_of", 8, node.me) == []
    assert f"{brought}, and most whose signatures were looked at are of {own}: at {node.named(node.me)[0]} " in text()
    assert node.seconds(reason + "_forged", 3) == []
    assert f"looked at are forged, which no node passes on: at {node.name} find out" in text()
    assert own not in text()


def test_a_full_table_of_trees_names_who_wants_most_groups() -> None:
    node = Node()
    overruns = Overruns(lambda: {"tree_table_full": 75}, node.nodes.most)
    assert next(overruns.problems(node.now)).text.endswith("(tree_table_full)"), "nobody wants any"
    node.world.nodes[node.other].report("239.1.2.3")
    node.world.run(2.0)
    (problem,) = overruns.problems(node.now)
    assert f"(tree_table_full); {node.name} ({node.address}) wants most: 1 groups: find out" in problem.text


def test_who_sends_control_messages_that_cannot_be_read_is_named() -> None:
    node = Node()
    (problem,) = node.seconds("control_malformed", FEWEST)
    assert (problem.kind, problem.subject) == ("control_malformed", node.name)
    assert problem.text.startswith(f"{node.name} ({node.address}) sent this node 30 control messages in the last ")
    assert f"treecast node revoke {node.name}" in problem.text


def test_who_brings_advertisements_with_bad_signatures_is_named() -> None:
    node = Node()
    (problem,) = node.seconds("advertisement_bad_signature", FEWEST)
    assert (problem.kind, problem.subject) == ("advertisements_forged", node.name)
    assert problem.text.startswith(f"{node.name} ({node.address}) brought this node 30 advertisements in the last ")
    assert f"treecast node revoke {node.name}" in problem.text


def test_who_sends_queries_through_the_overlay_is_named() -> None:
    node = Node()
    (problem,) = node.seconds("frame_never_crosses", FEWEST)
    assert (problem.kind, problem.subject) == ("frame_never_crosses", node.name)
    assert problem.text.startswith(
        f"{node.name} ({node.address}) sent this node 30 frames in the last minute that stay"
    )


def test_what_rooms_note_of_nodes_is_looked_at_as_what_the_data_plane_counts() -> None:
    node, drops = Node(), Drops()
    nodes = RefusedNodes(node.view, node, drops)
    for second in range(FEWEST_SECONDS):
        drops.note_of(node.other, "control_malformed", FEWEST)
        found = list(nodes.problems(Instant(float(second))))
    assert [problem.subject for problem in found] == [node.name]


def test_where_nobody_is_known_a_full_table_names_nobody() -> None:
    node = Node()
    node.seconds("punt_peer_full", 20)
    (problem,) = Overruns(lambda: {"tap_full": 75}, node.nodes.most).problems(node.now)
    assert problem.text.endswith("(tap_full)")


def test_no_more_nodes_are_remembered_than_there_is_room_for_and_those_that_go_on_are_named() -> None:
    node = Node()
    for _ in range(FEWEST_SECONDS):
        found = node.second(SOURCE, FEWEST, *range(100, 100 + MAX_NAMED_REFUSED))
    assert len(found) == MAX_NAMED_REFUSED
    found = node.second(SOURCE, 1, *range(101, 100 + MAX_NAMED_REFUSED), 99)
    assert [problem.subject for problem in found] == [f"#{other}" for other in range(101, 100 + MAX_NAMED_REFUSED)]


def test_who_begins_sessions_over_and_over_is_named_and_who_does_a_few_times_is_not() -> None:
    node = Node()
    assert node.seconds(SESSION_BEGUN, FEWEST_SESSIONS // FEWEST_SECONDS) == []
    (problem,) = node.second(SESSION_BEGUN, FEWEST_SESSIONS)
    assert (problem.kind, problem.subject) == ("sessions_over_and_over", node.name)
    count = FEWEST_SESSIONS // FEWEST_SECONDS * FEWEST_SECONDS + FEWEST_SESSIONS
    assert problem.text.startswith(f"{node.name} ({node.address}) began {count} sessions with this node in the last ")
    assert f"treecast node revoke {node.name}" in problem.text
    for _ in range(int(MINUTE) - 1):
        assert [one.kind for one in node.second()] == ["sessions_over_and_over"], "one problem, without a break"
    assert node.second() == []


def test_for_whom_keys_are_made_anew_is_named() -> None:
    node = Node()
    (problem,) = node.seconds(KEYS_MADE_ANEW, FEWEST)
    assert (problem.kind, problem.subject) == ("keys_made_anew", node.name)
    assert problem.text.startswith(f"{node.name} ({node.address}) left trees of this node, and came back, ")
    assert f"treecast node revoke {node.name}" in problem.text
