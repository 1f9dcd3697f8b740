"""``treecast groups`` for people, and what ``--watch`` finds different."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tests.unit.api.serving import GROUPS, sample_answer, serving
from treecast.adapters import storage
from treecast.api.records import (
    Answer,
    Group,
    LocalGroup,
    LocalHost,
    LocalJoin,
    LocalSource,
    Member,
    Querier,
    Router,
    Verb,
)
from treecast.cli.group_tables import print_groups
from treecast.cli.watch import Change, changes, facts, line
from treecast.identity.node import NodeRequest

HOST = LocalHost("02:00:00:00:00:01", "10.77.0.7", 3, "include", ["192.0.2.1"], 200.4)
HERE = LocalGroup(0, "include", [LocalSource("192.0.2.1", 260.0)], None, 3, True, [HOST])
LOCAL = Group("232.1.1.1", "192.0.2.1", [Member("alice", "include", ["192.0.2.1"])], True, 0, 0, 0, 0, 7, [HERE])
ASKS = Querier(0, 7, "igmp", False, "10.77.0.2", 2, 99.0, 2, 125.0, [Router("10.77.0.2", "query", 250.0)])


def test_groups_show_mode_sources_timers_versions_hosts_querier_and_routers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_groups([LOCAL], [ASKS])
    shown = capsys.readouterr().out
    for text in (
        "232.1.1.1 vlan 7",
        "IGMPv3",
        "include, leaving",
        "192.0.2.1 (260 s)",
        "10.77.0.7 02:00:00:00:00:01 IGMPv3 (only 192.0.2.1)",
        "IGMPv2",
        "10.77.0.2 (query, 250 s)",
    ):
        assert text in " ".join(shown.split()), text


def test_groups_show_what_pim_routers_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    joins = [LocalJoin("*", "10.77.0.1", 210.0)]
    here = LocalGroup(0, "exclude", [], None, 0, leaving=False, hosts=[], joins=joins)
    print_groups([Group("239.1.1.1", "*", [Member("alice", "exclude", [])], True, 0, 0, 0, 0, 0, [here])], [])
    shown = " ".join(capsys.readouterr().out.split())
    assert "239.1.1.1 0 PIM exclude - 210 s PIM Join of * to 10.77.0.1 (210 s)" in shown


def test_a_node_without_hosts_and_groups_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_groups([], [])
    assert capsys.readouterr().out.strip() == "no groups"


def test_what_hosts_nodes_and_routers_do_is_a_change_and_time_is_none() -> None:
    older = msgspec.structs.replace(HOST, expires_s=3.0)
    before = facts([msgspec.structs.replace(LOCAL, here=[msgspec.structs.replace(HERE, hosts=[older])])], [ASKS])
    assert list(changes(before, facts([LOCAL], [ASKS]), "now")) == []
    wider = msgspec.structs.replace(HOST, filter_mode="exclude", sources=[])
    taken = msgspec.structs.replace(ASKS, is_this_node=True, address="0.0.0.0", routers=[])
    after = facts(
        [msgspec.structs.replace(LOCAL, here=[msgspec.structs.replace(HERE, hosts=[wider])], members=[])], [taken]
    )
    said = [line(change) for change in changes(before, after, "12:00:00")]
    assert said == [
        "12:00:00 232.1.1.1 vlan 7 host 10.77.0.7 02:00:00:00:00:01 changed: any source",
        "12:00:00 232.1.1.1 vlan 7 node alice left",
        "12:00:00 igmp port 0 vlan 7 querier changed: this node",
        "12:00:00 igmp port 0 vlan 7 router 10.77.0.2 left",
    ]
    assert [change.change for change in changes({}, before, "now")] == ["joined"] * 4


def test_watch_prints_a_line_for_each_change_until_it_is_interrupted(tmp_path: Path) -> None:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    answers: dict[Verb, list[Answer]] = {Verb.GROUPS: [[], [], GROUPS[:1], GROUPS[:1], []]}

    def answer(verb: Verb) -> Answer:
        waiting = answers.get(verb)
        if not waiting:
            return sample_answer(verb) if verb is not Verb.GROUPS else []
        return waiting.pop(0)

    directory = tmp_path / "alice"
    _make_node(tmp_path / "lab", directory)
    with serving(directory, answer), _watching(directory) as process:
        assert process.stdout is not None
        changes = [msgspec.json.decode(process.stdout.readline(), type=Change) for _ in range(4)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert [(change.change, change.who, change.wants) for change in changes] == [
        ("joined", "node bob", "any source"),
        ("joined", "node carol", "not 10.77.0.9"),
        ("left", "node bob", "any source"),
        ("left", "node carol", "not 10.77.0.9"),
    ]


def test_watch_ends_with_one_sentence_when_there_is_no_node(tmp_path: Path) -> None:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    _make_node(tmp_path / "lab", tmp_path / "alice")
    with _watching(tmp_path / "alice") as process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert "no node is running" in process.stderr.read()


def _make_node(network: Path, directory: Path) -> None:
    storage.add_node(network, directory, NodeRequest("alice", None, None, 1), time.time())


def _watching(directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from treecast.cli.main import main; main()"]
    return subprocess.Popen(
        [*command, "groups", str(directory), "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
