"""``treecast trace`` on real nodes: the tree as each node has it installed, before and after a relay is killed.

::

      n0, the source -----> two of n1..n6 -----> two each        n7 has not joined

All are in a full mesh on one switch, each with a bound of two children.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PROGRAM, Overlay, TreecastNode
from lab.sites import show_logs
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, wait_members, wait_received
from treecast.api.client import fetch_trace
from treecast.api.trace_records import TracedNode, TracedTree, TreeTrace

GROUP, UNKNOWN_GROUP, PORT = "239.64.0.1", "239.64.0.2", 5064
NODES, MOST_CHILDREN = 8, 2
RATE_PPS = 500
TRACE_LIMIT_S = 20.0
pytestmark = pytest.mark.alone
"""Relays that stand still for a quarter of a second, on cores that others use, are planned around for a minute."""


@pytest.fixture
def overlay() -> Iterator[Overlay]:
    with Lab() as lab:
        lan = lab.switch()
        made = Overlay([lab.machine(f"n{number}", lan) for number in range(NODES)], lab.directory)
        made.start(options=("--max-children", str(MOST_CHILDREN)))
        yield made
        show_logs(made.nodes)
        made.stop()


def trace(node: TreecastNode) -> TreeTrace:
    return fetch_trace(node.directory, GROUP, "", TRACE_LIMIT_S)


def by_name(tree: TracedTree) -> dict[str, TracedNode]:
    return {node.node: node for node in tree.nodes}


def whole_tree(node: TreecastNode, members: set[str]) -> TracedTree:
    """The one tree of the group, once all members are served by it and say so, with rates."""
    found: list[TracedTree] = []

    def is_whole() -> bool:
        found[:] = trace(node).trees
        return (
            len(found) == 1
            and {one.node for one in found[0].nodes if one.service == "tree" and one.parent and one.rate_bps} == members
        )

    wait_until(is_whole, 3 * LIMIT_S, f"{node.name} traces a tree of {sorted(members)}: {found}")
    return found[0]


@pytest.mark.timeout(300)
def test_a_trace_shows_relay_and_children_as_installed_and_after_a_kill_the_grafted_backups(overlay: Overlay) -> None:
    source, *others = overlay.nodes
    outside = others.pop()
    names = {node.name for node in others}
    receivers = {node.name: Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in others}
    wait_members(source, GROUP, names)
    stream = Sender(source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, size_bytes=1000)
    wait_until(lambda: any(node.status().children for node in others), LIMIT_S, "the tree is in use")
    wait_received(receivers["n1"], 3 * RATE_PPS)

    tree = whole_tree(source, names)
    nodes = by_name(tree)
    assert (tree.root, tree.group, tree.source) == ("n0", GROUP, "*")
    assert tree.pps is not None and tree.pps > RATE_PPS / 2
    tops = {node.node for node in tree.nodes if node.parent == "n0"}
    assert len(tops) == MOST_CHILDREN
    for node in tree.nodes:
        assert (node.answered, node.subscribes, node.epoch, node.key_id) == (True, True, tree.epoch, tree.key_id)
        assert node.since_s is not None and node.since_s >= 0
        assert node.pps is not None and node.pps > RATE_PPS / 2
        assert node.rtt_ms is None or node.rtt_ms > 0
        assert len(node.children) <= MOST_CHILDREN
        assert set(node.children) == {one.node for one in tree.nodes if one.parent == node.node}
    assert {one.node for one in trace(others[0]).trees[0].nodes} == names, "a member gets it from the root"

    text = source.machine.run([PROGRAM, "trace", source.directory, GROUP]).stdout
    print(text)
    lines = {name: next(line for line in text.splitlines() if f"─\u00a0{name} " in f"{line} ") for name in names}
    assert all(lines[name].startswith(("├─", "└─")) for name in tops)
    assert all(not lines[name].startswith(("├─", "└─")) for name in names - tops)
    said = json.loads(others[0].machine.run([PROGRAM, "trace", others[0].directory, GROUP, "--json"]).stdout)
    assert {node["node"] for node in said["trees"][0]["nodes"]} == names
    for group, why in ((GROUP, "this node is on no tree"), (UNKNOWN_GROUP, f"nobody has joined {UNKNOWN_GROUP}")):
        refused = outside.machine.run([PROGRAM, "trace", outside.directory, group], check=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"treecast: no tree to trace: {why}") and refused.stderr.count("\n") == 1

    said = source.machine.run([PROGRAM, "why", source.directory, GROUP]).stdout
    print(said)
    assert f"stream {tree.stream} of this node ({GROUP} from any source)" in said
    assert "planned over measured links, to 6 members, within its bound (--max-children)" in said
    said = others[0].machine.run([PROGRAM, "why", others[0].directory, GROUP]).stdout
    assert f"from {nodes['n1'].parent}" in said and "so n0, its root, placed this node in epoch" in said
    said = source.machine.run([PROGRAM, "why", source.directory, "n1"]).stdout
    print(said)
    assert (
        said.startswith("link, for ") and "path, for " in said and "relay: it may send on streams of this node" in said
    )
    (row,) = (row for row in source.groups() if row.group == GROUP)
    assert row.stream is not None and (row.stream.stream, row.stream.planned) == (tree.stream, True)

    dead = max(others, key=lambda node: len(nodes[node.name].children))
    orphans = set(nodes[dead.name].children)
    assert orphans
    dead.kill()
    seen: dict[str, TracedNode] = {}

    def have_grafted() -> bool:
        after = by_name(trace(source).trees[0])
        seen.update({name: after[name] for name in orphans if after[name].graft})
        return not after[dead.name].answered and all(
            after[name].answered and (after[name].graft or after[name].parent != dead.name) for name in orphans
        )

    wait_until(have_grafted, LIMIT_S, f"{orphans} have grafted")
    print(seen)
    assert seen, "one of them gets it from its backup, until the tree is another one"
    for node in seen.values():
        assert node.parent == dead.name and node.graft == "backup" and node.backup in names | {"n0"}
    stream.stop()
    (row,) = (row for row in source.groups() if row.group == GROUP)
    assert row.stream is not None and row.stream.grafts >= len(seen)
    why = source.machine.run([PROGRAM, "why", source.directory, GROUP]).stdout
    assert f"relay {dead.name}: it gets no children for" in why
    grafted = next(node for node in others if node.name in seen)
    assert "repairs here: " in grafted.machine.run([PROGRAM, "groups", grafted.directory]).stdout
