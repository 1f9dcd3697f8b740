"""Knowledge of hosts and routers between the runs of a node: a file that cannot be used is one warning, no more."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from tests.unit.daemon.one_kind import OneKind
from treecast.adapters import clock
from treecast.adapters.pim_file import MAX_PIM_FILE_BYTES, PIM_FILE, write_pim
from treecast.adapters.vlans_file import MAX_VLANS_FILE_BYTES, VLANS_FILE, load_vlans, write_vlans
from treecast.base.limits import MAX_REMEMBERED_PIM_ENTRIES
from treecast.base.time import after
from treecast.daemon.memory import VLANS_WRITE_INTERVAL, Memory, RememberedKind, remembered_pim, remembered_vlans
from treecast.multicast import PimJoinView, PimSegment


@dataclass
class Node:
    own: tuple[int, ...] = ()
    pim: tuple[PimSegment, ...] = ()

    def recall_vlans(self, vlans: tuple[int, ...]) -> None:
        self.own += vlans

    def vlans(self) -> tuple[int, ...]:
        return self.own

    def recall_pim(self, remembered: tuple[PimSegment, ...]) -> None:
        self.pim += remembered

    def pim_routers(self) -> tuple[PimSegment, ...]:
        return self.pim


def memory_of(directory: Path, node: Node) -> tuple[OneKind, list[Any]]:
    one = OneKind(directory, remembered_vlans(directory, node))
    return one, one.lines


def pim_memory_of(directory: Path, node: Node) -> tuple[OneKind, list[Any]]:
    one = OneKind(directory, remembered_pim(directory, node))
    return one, one.lines


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
    assert load_vlans(tmp_path) == (), "as it says, also when nothing is learned"
    node.own = (7,)
    memory.save()
    assert load_vlans(tmp_path) == (7,)


def test_a_damaged_vlan_is_left_out_alone_and_counted(tmp_path: Path) -> None:
    (tmp_path / VLANS_FILE).write_bytes(b'{"vlans":[7,4096,"8",9,[[]]]}')
    node = Node()
    memory, lines = memory_of(tmp_path, node)
    memory.recall()
    assert node.own == (7, 9)
    (line,) = lines
    path = tmp_path / VLANS_FILE
    assert line.kwargs["reason"] == f"{path} has, among 5, 3 damaged entries, which are left out: it is written anew"
    assert load_vlans(tmp_path) == (7, 9), "it was, at once"


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


def test_a_directory_that_is_closed_is_no_second_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    kinds: list[RememberedKind[Any]] = [remembered_vlans(tmp_path / "gone", Node((7,)))]
    memory = Memory(tmp_path / "gone", kinds, cast(FilteringBoundLogger, CapturingLogger()))
    memory.save()
    assert [problem.kind for problem in memory.problems(clock.monotonic())] == ["directory_unwritable"]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "lstat", closed)
        found = list(memory.problems(clock.monotonic()))
    assert found == []


def test_a_directory_that_cannot_be_written_is_one_problem_for_all_kinds_until_it_can(tmp_path: Path) -> None:
    directory = tmp_path / "home"
    directory.write_text("no directory")
    node = Node((7,), (pim_segment(),))
    log = CapturingLogger()
    kinds: list[RememberedKind[Any]] = [remembered_vlans(directory, node), remembered_pim(directory, node)]
    memory = Memory(directory, kinds, cast(FilteringBoundLogger, log))
    assert list(memory.problems(clock.monotonic())) == []
    memory.save()
    (problem,) = memory.problems(clock.monotonic())
    assert (problem.kind, problem.subject) == ("directory_unwritable", str(directory))
    assert f"cannot write {directory / VLANS_FILE}" in problem.text
    (line,) = log.calls
    assert line.args == ("VLANs, Joins of PIM routers are not remembered for the next start",)
    directory.unlink()
    in_the_way = [directory / VLANS_FILE, directory / PIM_FILE]
    for path in in_the_way:
        path.mkdir(parents=True)
    memory.save()
    (problem,) = memory.problems(clock.monotonic())
    assert problem.text == (
        "VLANs, Joins of PIM routers are not remembered for the next start: cannot write "
        f"{in_the_way[0]} (is a directory): remove it, and cannot write {in_the_way[1]} (is a directory): remove it"
    )
    for path in in_the_way:
        path.rmdir()
    memory.save()
    assert list(memory.problems(clock.monotonic())) == []


def test_a_directory_that_is_gone_is_one_problem_before_anything_is_written_there(tmp_path: Path) -> None:
    directory = tmp_path / "home"
    directory.mkdir()
    memory = memory_of(directory, Node())[0].memory
    assert list(memory.problems(clock.monotonic())) == []
    directory.rename(tmp_path / "away")
    (problem,) = memory.problems(clock.monotonic())
    assert (problem.kind, problem.subject) == ("directory_unwritable", str(directory))
    wanted = f"{directory} is gone: put it back, or start the node again where its directory is now"
    assert problem.text.endswith(wanted)
    (tmp_path / "away").rename(directory)
    assert list(memory.problems(clock.monotonic())) == []


def test_what_is_no_file_is_replaced_or_a_problem_also_when_nothing_was_learned(tmp_path: Path) -> None:
    path = tmp_path / VLANS_FILE
    os.mkfifo(path)
    memory, _ = memory_of(tmp_path, Node())
    memory.recall()
    memory.save()
    assert path.is_file()
    path.unlink()
    path.mkdir()
    memory, _ = memory_of(tmp_path, Node())
    memory.recall()
    memory.save()
    (problem,) = memory.memory.problems(clock.monotonic())
    assert problem.text.endswith(f"cannot write {path} (is a directory): remove it")


def test_what_was_written_waits_for_its_interval_and_what_could_not_be_is_due_at_each_look(tmp_path: Path) -> None:
    directory, node = tmp_path / "gone", Node((7,))
    kind = remembered_vlans(directory, node)
    now = clock.monotonic()
    for look in range(3):
        due = kind.due(after(now, 5.0 * look))
        assert due == (7,)
        kind.write(due)
    directory.mkdir()
    due = kind.due(after(now, 15.0))
    assert due == (7,)
    kind.write(due)
    assert kind.due(after(now, 200.0)) is None, "nothing has changed"
    node.own = (7, 9)
    assert kind.due(after(now, 20.0)) is None
    assert kind.due(after(now, 15.0 + VLANS_WRITE_INTERVAL)) == (7, 9)


def test_a_kind_that_has_changed_back_to_what_its_file_has_is_no_problem(tmp_path: Path) -> None:
    directory, node = tmp_path / "gone", Node((7,))
    kind = remembered_vlans(directory, node)
    kind.write((7,))
    assert kind.fault
    node.own = ()
    assert kind.due(clock.monotonic()) is None
    assert kind.fault == ""


ROUTER, UPSTREAM = IPv4Address("10.0.0.200"), IPv4Address("10.0.0.250")
GROUP = IPv4Address("239.1.1.1")


def pim_segment(left_s: float = 200) -> PimSegment:
    ends = after(clock.monotonic(), left_s)
    joins = (PimJoinView(GROUP, None, UPSTREAM, ends), PimJoinView(GROUP, IPv4Address("192.0.2.1"), UPSTREAM, ends))
    return PimSegment("own", 7, ((ROUTER, ends),), joins)


def recalled(directory: Path) -> tuple[tuple[PimSegment, ...], list[Any]]:
    node = Node()
    memory, lines = pim_memory_of(directory, node)
    memory.recall()
    return node.pim, lines


def written_at(directory: Path, offset_s: float) -> None:
    """The wall clock was set by so much since the file was written."""
    file = json.loads((directory / PIM_FILE).read_text())
    file["written_unix_s"] -= offset_s
    (directory / PIM_FILE).write_text(json.dumps(file))


def test_joins_of_one_run_are_recalled_by_the_next_for_what_is_left_of_them(tmp_path: Path) -> None:
    before = pim_segment()
    pim_memory_of(tmp_path, Node(pim=(before,)))[0].save()
    written_at(tmp_path, 50)
    now = clock.monotonic()
    (known,), lines = recalled(tmp_path)
    assert lines == []
    assert (known.port, known.vlan) == ("own", 7)
    assert [(join.group, join.source, join.upstream) for join in known.joins] == [
        (join.group, join.source, join.upstream) for join in before.joins
    ]
    assert [address for address, _ in known.routers] == [ROUTER]
    assert all(100 < ends - now <= 150 for ends in (known.routers[0][1], *(join.expires for join in known.joins)))


@pytest.mark.parametrize("set_by_s", [-3600, -50 * 365 * 86_400])
def test_a_wall_clock_that_was_set_back_makes_no_join_last_longer(tmp_path: Path, set_by_s: int) -> None:
    pim_memory_of(tmp_path, Node(pim=(pim_segment(),)))[0].save()
    written_at(tmp_path, set_by_s)
    now = clock.monotonic()
    (known,), _ = recalled(tmp_path)
    assert all(100 < join.expires - now <= 200.5 for join in known.joins)


def test_joins_that_ended_while_the_node_was_down_are_not_recalled(tmp_path: Path) -> None:
    pim_memory_of(tmp_path, Node(pim=(pim_segment(),)))[0].save()
    written_at(tmp_path, 201)
    assert recalled(tmp_path) == ((), [])
    assert recalled(tmp_path / "gone") == ((), [])


JOIN = {"group": "239.1.1.1", "source": None, "upstream": "10.0.0.1", "left_s": 200}
SEGMENT = {"port": "own", "vlan": 0, "routers": [{"address": "10.0.0.2", "left_s": 100}], "joins": [JOIN]}


@pytest.mark.parametrize(
    "segment",
    [
        SEGMENT | {"vlan": 4096},
        SEGMENT | {"port": ""},
        SEGMENT | {"more": 1},
        SEGMENT | {"routers": [{"address": "224.0.0.1", "left_s": 1}]},
        SEGMENT | {"routers": [{"address": "fe80::1%eth0", "left_s": 1}]},
        *(
            SEGMENT | {"joins": [JOIN | wrong]}
            for wrong in (
                {"group": "10.0.0.1"},
                {"group": "ff35::1"},
                {"source": "x"},
                {"source": "2001:db8::1"},
                {"left_s": 65_536},
                {"left_s": -1},
                {"left_s": 1e300},
            )
        ),
        SEGMENT | {"joins": [JOIN] * 4097},
    ],
)
def test_a_damaged_file_of_joins_is_one_warning_and_is_written_anew(tmp_path: Path, segment: object) -> None:
    (tmp_path / PIM_FILE).write_text(json.dumps({"written_unix_s": 0, "segments": [segment]}))
    node = Node()
    memory, lines = pim_memory_of(tmp_path, node)
    memory.recall()
    (line,) = lines
    assert (line.method_name, node.pim) == ("warning", ())
    assert str(line.kwargs["reason"]).endswith("it is written anew")
    assert recalled(tmp_path) == ((), []), "as it says, also when nothing is learned"
    node.pim = (pim_segment(),)
    memory.save()
    assert len(recalled(tmp_path)[0]) == 1


def test_a_damaged_join_is_left_out_alone_and_counted(tmp_path: Path) -> None:
    wrong = JOIN | {"left_s": -3}
    segments = [
        SEGMENT | {"joins": [wrong, JOIN]},
        SEGMENT | {"vlan": 7, "routers": [{"address": "x", "left_s": 1}, {"address": "10.0.0.2", "left_s": 100}]},
        SEGMENT | {"vlan": 4096},
    ]
    (tmp_path / PIM_FILE).write_text(json.dumps({"written_unix_s": int(clock.unix_s()), "segments": segments}))
    known, (line,) = recalled(tmp_path)
    assert [(one.vlan, len(one.routers), len(one.joins)) for one in known] == [(0, 1, 1), (7, 1, 1)]
    expected = f"{tmp_path / PIM_FILE} has, among 9, 3 damaged entries, which are left out: it is written anew"
    assert line.kwargs["reason"] == expected
    again, lines = recalled(tmp_path)
    assert ([one.vlan for one in again], lines) == ([0, 7], []), "it was, at once"


def test_as_many_joins_as_are_remembered_have_room_in_the_file(tmp_path: Path) -> None:
    ends = after(clock.monotonic(), 65_535)
    longest = IPv6Address("2001:db8:ffff:ffff:ffff:ffff:ffff:0")
    port = "packet " + "i" * 15
    segments = [
        PimSegment(
            port,
            vlan,
            ((longest, ends),),
            (PimJoinView(IPv6Address("ff35:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), longest, longest, ends),),
        )
        for vlan in range(2048, 2048 + MAX_REMEMBERED_PIM_ENTRIES // 2)
    ]
    write_pim(tmp_path, segments)
    assert (tmp_path / PIM_FILE).stat().st_size < MAX_PIM_FILE_BYTES
    assert len(recalled(tmp_path)[0]) == len(segments)
    joins = tuple(
        PimJoinView(IPv6Address(f"ff35:ffff:ffff:ffff:ffff:ffff:ffff:{number:x}"), longest, longest, ends)
        for number in range(4096, 4096 + MAX_REMEMBERED_PIM_ENTRIES - 1)
    )
    write_pim(tmp_path, [PimSegment(port, 0, ((longest, ends),), joins)])
    assert (tmp_path / PIM_FILE).stat().st_size < MAX_PIM_FILE_BYTES
    assert len(recalled(tmp_path)[0][0].joins) == len(joins)
