"""Traced trees as text: each node below the one that it gets the tree from, by its own answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treecast.api.trace_records import TracedNode, TracedTree, TreeTrace, Why
from treecast.base.rates import in_rate
from treecast.base.time import in_time
from treecast.cli.layout import Column
from treecast.cli.tables import console, rows_table, with_vlan

_COLUMNS: tuple[Column, ...] = (
    ("NODE", "left"),
    ("PARENT", "left"),
    ("BACKUP", "left"),
    ("RTT", "right"),
    ("LOSS", "right"),
    ("RATE", "right"),
    ("FOR", "right"),
    ("NOTE", "left"),
)
NO_ANSWER = "no answer within 2 s"
PROTECTED = "protected"
_UNKNOWN = "?"
_CHILD, _LAST, _LINE, _NOTHING, _IN_CIRCLE = "├─\u00a0", "└─\u00a0", "│\u00a0\u00a0", "\u00a0" * 3, "?─\u00a0"
"""Spaces at which no line is broken."""


def print_trace(trace: TreeTrace) -> None:
    """One tree after the other."""
    for number, tree in enumerate(trace.trees):
        if number:
            console().print()
        console().print(_title(tree), soft_wrap=True)
        console().print(rows_table("", _COLUMNS, tuple(_rows(tree))), crop=False)
        if tree.left_out:
            console().print(f"and {tree.left_out:,} more nodes, which were not asked", soft_wrap=True)
    for root, count in trace.left_out.items():
        more = f"{count:,} more trees of {trace.group}" if count > 1 else f"one more tree of {trace.group}"
        console().print(f"\n{root} has {more}: --source shows that of a sender", soft_wrap=True)
    for root in trace.silent:
        console().print(f"\n{root} did not answer: trees that begin there are not shown", soft_wrap=True)


def _title(tree: TracedTree) -> str:
    source = "any source" if tree.source == "*" else tree.source
    what = f"{with_vlan(tree.group, tree.vlan)} from {source}, which enters at {tree.root}"
    mode = f", {tree.mode}" if tree.mode else ""
    return f"{what}{mode}: stream {tree.stream}, epoch {tree.epoch}, key {tree.key_id}"


def _rows(tree: TracedTree) -> Iterator[tuple[str, ...]]:
    yield (tree.root, "-", "-", "-", "-", _rate(tree.pps, tree.rate_bps), in_time(tree.since_s), "root")
    for art, node in drawn(tree):
        yield (art + node.node, *_cells(tree, node))


def drawn(tree: TracedTree) -> Iterator[tuple[str, TracedNode]]:
    """Each node once, with what is drawn before its name. Nodes whose parents form a circle come last."""
    below = _below(tree)
    seen: set[str] = set()

    def walk(above: str, indent: str) -> Iterator[tuple[str, TracedNode]]:
        nodes = [node for node in below.get(above, ()) if node.node not in seen]
        seen.update(node.node for node in nodes)
        for number, node in enumerate(nodes):
            is_last = number == len(nodes) - 1
            yield indent + (_LAST if is_last else _CHILD), node
            yield from walk(node.node, indent + (_NOTHING if is_last else _LINE))

    yield from walk(tree.root, "")
    for node in sorted(tree.nodes, key=lambda one: one.node):
        if node.node not in seen:
            seen.add(node.node)
            yield _IN_CIRCLE, node
            yield from walk(node.node, _NOTHING)


def _below(tree: TracedTree) -> dict[str, list[TracedNode]]:
    """The nodes below each: of two parents below the one that fewer nodes are above."""
    below: dict[str, list[TracedNode]] = {}
    left, level = sorted(tree.nodes, key=lambda one: one.node), {tree.root} if tree.mode == PROTECTED else set()
    while level:
        found = [node for node in left if level & {node.parent, node.backup}]
        for node in found:
            below.setdefault(node.parent if node.parent in level else node.backup, []).append(node)
        left, level = [node for node in left if node not in found], {node.node for node in found}
    for node in left:
        below.setdefault(upstream_of(tree, node), []).append(node)
    return below


def upstream_of(tree: TracedTree, node: TracedNode) -> str:
    """The node below which it is drawn: the one that sends to it, by its own answer; the root, where there is none."""
    above = node.backup if node.graft == "backup" and node.backup else node.parent
    known = {tree.root, *(one.node for one in tree.nodes)}
    return above if above in known else tree.root


def _cells(tree: TracedTree, node: TracedNode) -> tuple[str, ...]:
    if not node.answered:
        return ("-", "-", "-", "-", "-", "-", NO_ANSWER)
    if not node.parent:
        note = "gets copies from the root" if node.service == "copies" else "has no place yet"
        return ("-", "-", "-", "-", _rate(node.pps, node.rate_bps), "-", note)
    return (
        node.parent,
        node.backup or "-",
        _UNKNOWN if node.rtt_ms is None else f"{node.rtt_ms:.1f} ms",
        _UNKNOWN if node.loss is None else f"{100 * node.loss:.1f} %",
        _rate(node.pps, node.rate_bps),
        "-" if node.since_s is None else in_time(node.since_s),
        ", ".join(_notes(tree, node)),
    )


def _notes(tree: TracedTree, node: TracedNode) -> Iterator[str]:
    """Words about all that is not as it is most of the time."""
    if node.graft:
        yield f"grafted: {node.backup} sends" + (", too" if node.graft == "both" else f", {node.parent} does not")
    if not node.subscribes:
        yield "relay"
    if node.service == "copies":
        yield "gets copies from the root until all below are ready"
    elif node.service == "none":
        yield "not served yet"
    if (node.epoch, node.key_id) != (tree.epoch, tree.key_id):
        yield f"is at epoch {node.epoch}, key {node.key_id}"
    if not _is_listed(tree.nodes, upstream_of(tree, node), tree.root, node.node):
        yield f"no child of {upstream_of(tree, node)}"


def _is_listed(nodes: Sequence[TracedNode], above: str, root: str, child: str) -> bool:
    """Whether the node above sends to it, by its own answer, as far as there is one."""
    if above == root:
        return True
    found = next((node for node in nodes if node.node == above), None)
    return found is None or not found.answered or child in found.children


def _rate(pps: float | None, rate_bps: float | None) -> str:
    if pps is None or rate_bps is None:
        return _UNKNOWN
    return f"{in_rate(rate_bps)} {pps:,.0f}/s"


def print_why(why: Why) -> None:
    """One line for each decision."""
    for decision in why.decisions:
        since = "" if decision.since_s is None else f", for {in_time(decision.since_s)}"
        console().print(f"{decision.subject}{since}: {decision.text}", soft_wrap=True)
