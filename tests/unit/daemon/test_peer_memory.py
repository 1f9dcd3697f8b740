"""The memory of a node between its runs: a file that cannot be used is one warning, and the node goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.unit.daemon.one_kind import OneKind
from tests.unit.links.shaking import NETWORK, UNIX_NOW, Node, endpoint_of, shake
from treecast.adapters import clock
from treecast.adapters.peers_file import PEERS_FILE, load_peers, write_peers
from treecast.base.ids import NodeIndex
from treecast.daemon.memory import remembered_nodes
from treecast.links.memory import HOUR_S, Remembered


def linked() -> Node:
    one, two = Node(1), Node(2)
    shake(one, two)
    return one


def memory_of(node: Node, directory: Path) -> tuple[OneKind, list[Any]]:
    one = OneKind(directory, remembered_nodes(directory, NETWORK.id, node.links))
    return one, one.lines


def test_a_node_that_was_linked_is_in_the_file_of_the_next_run(tmp_path: Path) -> None:
    node = linked()
    memory, lines = memory_of(node, tmp_path)
    memory.save()
    again = Node(1, epoch=2)
    memory_of(again, tmp_path)[0].recall()
    assert [known.name for known in again.links.known(clock.monotonic())] == ["n2"]
    assert lines == []


def test_the_file_of_a_node_that_ended_in_order_says_when_others_were_linked_to_the_second(tmp_path: Path) -> None:
    """``two``'s link ended a while before."""
    node, two = linked(), Node(2)
    memory, _ = memory_of(node, tmp_path)
    (peer,) = node.links.peers()
    unix_s = int(UNIX_NOW + clock.monotonic())
    node.links.remembered(clock.monotonic())
    node.links.goodbye(clock.monotonic(), NodeIndex(two.index), peer.current.index)
    memory.save()
    (one,) = load_peers(tmp_path, NETWORK.id)
    assert unix_s <= one.linked_unix_s <= UNIX_NOW + clock.monotonic()


def test_a_later_second_alone_is_no_reason_to_write_the_file_while_the_node_runs() -> None:
    one = Remembered(NodeIndex(2), "n2", (endpoint_of(2),), HOUR_S)
    assert replace(one, linked_unix_s=2 * HOUR_S - 1).to_the_hour() == one
    assert replace(one, linked_unix_s=2 * HOUR_S).to_the_hour() != one
    assert replace(one, linked_unix_s=HOUR_S + 1, missed_hours=1).to_the_hour() != one


def test_a_damaged_file_is_one_warning_and_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / PEERS_FILE).write_bytes(b"{")
    memory, lines = memory_of(linked(), tmp_path)
    memory.recall()
    (line,) = lines
    assert line.method_name == "warning"
    assert "is damaged" in line.kwargs["reason"]
    memory.save()
    assert [one.name for one in load_peers(tmp_path, NETWORK.id)] == ["n2"]


def test_a_directory_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    memory, lines = memory_of(linked(), tmp_path / "gone")
    for _ in range(3):
        memory.save()
    (line,) = lines
    assert line.method_name == "warning"
    assert str(tmp_path / "gone" / PEERS_FILE) in line.kwargs["reason"]


def test_a_directory_that_cannot_be_written_is_a_problem_until_it_can(tmp_path: Path) -> None:
    directory = tmp_path / "home"
    directory.write_text("no directory")
    memory, _ = memory_of(linked(), directory)
    assert list(memory.memory.problems(clock.monotonic())) == []
    memory.save()
    (problem,) = memory.memory.problems(clock.monotonic())
    assert (problem.kind, problem.subject) == ("directory_unwritable", str(directory))
    assert f"cannot write {directory / PEERS_FILE}" in problem.text
    assert "bridge add" in problem.text
    directory.unlink()
    directory.mkdir()
    memory.save()
    assert list(memory.memory.problems(clock.monotonic())) == []


def test_nothing_to_remember_makes_no_file(tmp_path: Path) -> None:
    memory, _ = memory_of(Node(1), tmp_path)
    memory.recall()
    memory.save()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_as_it_was_after_a_start_eight_days_later_without_the_others(tmp_path: Path) -> None:
    long_ago = Remembered(NodeIndex(2), "n2", (endpoint_of(2),), 0)
    write_peers(tmp_path, NETWORK.id, [long_ago])
    node = Node(1, ahead_s=8 * 86_400.0)
    memory, lines = memory_of(node, tmp_path)
    memory.recall()
    assert [known.name for known in node.links.known(clock.monotonic())] == ["n2"]
    memory.save()
    assert load_peers(tmp_path, NETWORK.id) == (long_ago,)
    assert lines == []
