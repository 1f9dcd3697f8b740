"""VLANs between the runs of a node: a file that cannot be used is one warning, and the node goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from treecast.adapters.vlans_file import MAX_VLANS_FILE_BYTES, VLANS_FILE, load_vlans, write_vlans
from treecast.daemon.vlan_memory import VlanMemory


@dataclass
class Node:
    own: tuple[int, ...] = ()

    def recall_vlans(self, vlans: tuple[int, ...]) -> None:
        self.own += vlans

    def vlans(self) -> tuple[int, ...]:
        return self.own


def memory_of(directory: Path, node: Node) -> tuple[VlanMemory, list[Any]]:
    log = CapturingLogger()
    return VlanMemory(directory, node, cast(FilteringBoundLogger, log)), log.calls


def test_the_vlans_of_one_run_are_those_that_the_next_begins_with(tmp_path: Path) -> None:
    memory, lines = memory_of(tmp_path, Node((7, 9)))
    memory.recall()
    memory.save()
    again = Node()
    memory_of(tmp_path, again)[0].recall()
    assert (again.own, lines) == ((7, 9), [])
    again.own = ()
    memory_of(tmp_path, again)[0].save()
    assert load_vlans(tmp_path) == (7, 9), "nothing was learned, nothing is written"


@pytest.mark.parametrize("data", [b"{", b'{"vlans": [4096]}', b'{"vlans": [0]}', b'{"vlans": ["7"]}', b" " * 40_000])
def test_a_damaged_file_is_one_warning_and_is_written_anew(tmp_path: Path, data: bytes) -> None:
    (tmp_path / VLANS_FILE).write_bytes(data)
    node = Node()
    memory, lines = memory_of(tmp_path, node)
    memory.recall()
    assert [line.method_name for line in lines] == ["warning"]
    assert str(lines[0].kwargs["reason"]).endswith("it is written anew")
    node.own = (7,)
    memory.save()
    assert load_vlans(tmp_path) == (7,)


def test_all_vlans_have_room_in_the_file(tmp_path: Path) -> None:
    write_vlans(tmp_path, range(1, 4096))
    assert (tmp_path / VLANS_FILE).stat().st_size < MAX_VLANS_FILE_BYTES
    assert len(load_vlans(tmp_path)) == 4095


def test_a_directory_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    memory, lines = memory_of(tmp_path / "gone", Node((7,)))
    for _ in range(3):
        memory.save()
    (line,) = lines
    assert line.method_name == "warning"
    assert str(tmp_path / "gone" / VLANS_FILE) in line.kwargs["reason"]
