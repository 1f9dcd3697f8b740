"""Traced trees as text: each node once, below the one that sends to it, whatever nodes answer."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.serving import TREE
from treecast.api.trace_records import TracedNode, TracedTree, TreeTrace
from treecast.cli.trace_tables import NO_ANSWER, drawn, print_trace, upstream_of

NAMES = ["alice", "bob", "carol", "dave", "erin"]
names = st.sampled_from(["", "nobody", *NAMES])
answers = st.builds(
    TracedNode,
    node=st.sampled_from(NAMES[1:]),
    answered=st.booleans(),
    service=st.sampled_from(["tree", "copies", "none", "later"]),
    subscribes=st.booleans(),
    parent=names,
    backup=names,
    graft=st.sampled_from(["", "backup", "both"]),
    epoch=st.none() | st.just(17),
    rtt_ms=st.none() | st.floats(0, 1000),
    pps=st.none() | st.floats(0, 1e7),
    rate_bps=st.none() | st.floats(0, 1e10),
    children=st.lists(st.sampled_from(NAMES), max_size=3),
)
trees = st.lists(answers, unique_by=lambda node: node.node).map(
    lambda nodes: msgspec.structs.replace(TREE, nodes=nodes)
)


def text_of(*trees: TracedTree, silent: tuple[str, ...] = (), left_out: dict[str, int] | None = None) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed), pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", "140")
        print_trace(TreeTrace("239.1.1.1", list(trees), list(silent), left_out=left_out or {}))
    return printed.getvalue().replace("\u00a0", " ")


def test_a_node_that_has_grafted_is_below_its_backup_and_one_without_an_answer_is_shown_as_such() -> None:
    title, _, line, root, *nodes = text_of(TREE).splitlines()
    assert title == "239.1.1.1 from any source, which enters at alice: stream 3, epoch 17, key 18"
    assert set(line) == {"─", " "}
    assert root.startswith("alice ") and root.rstrip().endswith("root") and " 8.0 Mb/s 1,000/s " in root
    assert [one.split()[:2] for one in nodes] == [["├─", "bob"], ["├─", "carol"], ["└─", "dave"]]
    assert "0.2 ms 0.0 %" in nodes[0] and "1 min 1 s" in nodes[0]
    assert nodes[1].rstrip().endswith("grafted: alice sends, bob does not")
    assert " ? " in nodes[1], "what is not measured is shown so"
    assert nodes[2].rstrip().endswith(NO_ANSWER)


def test_the_first_line_has_the_mode_that_the_group_has_at_its_root() -> None:
    title = text_of(msgspec.structs.replace(TREE, mode="replicated")).splitlines()[0]
    assert title == "239.1.1.1 from any source, which enters at alice, replicated: stream 3, epoch 17, key 18"


def test_of_two_parents_a_node_is_below_the_one_that_is_nearer_to_the_root() -> None:
    def node(name: str, parent: str, backup: str, *children: str) -> TracedNode:
        return TracedNode(name, True, "tree", True, parent=parent, backup=backup, children=list(children))

    nodes = [
        node("bob", "carol", "alice", "carol", "dave"),
        node("carol", "bob", "alice", "bob", "dave"),
        node("dave", "carol", "bob"),
        node("erin", "dave", "nobody"),
    ]
    tree = msgspec.structs.replace(TREE, nodes=nodes, mode="protected")
    assert [(art.replace("\u00a0", " "), one.node) for art, one in drawn(tree)] == [
        ("├─ ", "bob"),
        ("└─ ", "carol"),
        ("   └─ ", "dave"),
        ("      └─ ", "erin"),
    ]


def test_what_two_nodes_say_of_each_other_is_held_against_each_other() -> None:
    bob, carol, dave = TREE.nodes
    tree = msgspec.structs.replace(
        TREE,
        nodes=[
            msgspec.structs.replace(bob, children=[]),
            msgspec.structs.replace(carol, graft="", epoch=16),
            msgspec.structs.replace(dave, answered=True, service="copies"),
        ],
    )
    *_, of_carol, of_dave = text_of(tree).splitlines()
    assert "is at epoch 16, key 18, no child of bob" in of_carol
    assert of_dave.rstrip().endswith("gets copies from the root")


def test_a_root_that_did_not_answer_is_named_below_the_trees() -> None:
    assert (
        text_of(TREE, silent=("erin",)).splitlines()[-1] == "erin did not answer: trees that begin there are not shown"
    )


def test_trees_that_were_left_out_are_named_with_their_root_below_the_others() -> None:
    assert text_of(TREE, left_out={"alice": 1200, "erin": 1}).splitlines()[-3:] == [
        "alice has 1,200 more trees of 239.1.1.1: --source shows that of a sender",
        "",
        "erin has one more tree of 239.1.1.1: --source shows that of a sender",
    ]


@given(tree=trees)
def test_each_node_is_drawn_once_below_who_sends_to_it_also_where_parents_form_a_circle(tree: TracedTree) -> None:
    shown = list(drawn(tree))
    assert sorted(node.node for _, node in shown) == sorted(node.node for node in tree.nodes)
    depths = {tree.root: -1}
    for art, node in shown:
        depth = (len(art) - 3) // 3
        above = upstream_of(tree, node)
        assert art.startswith("?") or depths[above] == depth - 1
        depths[node.node] = depth
    text = text_of(tree)
    assert all(f"─ {node.node} " in text for node in tree.nodes)
