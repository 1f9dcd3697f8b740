"""``treecast groups`` for people, and what ``--watch`` finds different."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from lab.waiting import wait_until
from tests.unit.api.serving import GROUPS, STATUS, serving
from treecast.adapters import storage
from treecast.api.records import (
    GROUPS_SHOWN,
    Group,
    GroupChanges,
    LocalGroup,
    LocalHost,
    LocalJoin,
    LocalSource,
    Member,
    Querier,
    Router,
    Sender,
    Sliced,
    TouchedGroup,
)
from treecast.cli.group_tables import print_groups, print_left_out
from treecast.cli.watch import WatchedChange, WatchedTable, changes, facts, following, line, snapshot
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


def row_of(number: int) -> Group:
    return Group(f"239.1.{number // 256}.{number % 256}", "*", [Member("n7", "exclude", [])], False, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (81_900, "and 80,900 more groups that other nodes want: treecast groups --all lists all"),
        (900, "and more groups: treecast groups --all"),
    ],
)
def test_groups_that_are_left_out_are_counted(capsys: pytest.CaptureFixture[str], others: int, said: str) -> None:
    rows = [row_of(number) for number in range(GROUPS_SHOWN)]
    print_left_out(rows, replace(STATUS, groups_of_others=others))
    assert said in capsys.readouterr().out
    print_left_out(rows[1:], replace(STATUS, groups_of_others=others))
    assert capsys.readouterr().out == "", "none is"


def test_groups_show_what_pim_routers_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    joins = [LocalJoin("*", "10.77.0.1", 210.0)]
    here = LocalGroup(0, "exclude", [], None, 0, leaving=False, hosts=[], joins=joins)
    print_groups([Group("239.1.1.1", "*", [Member("alice", "exclude", [])], True, 0, 0, 0, 0, 0, [here])], [])
    shown = " ".join(capsys.readouterr().out.split())
    assert "239.1.1.1 0 PIM exclude - - 210 s PIM Join of * to 10.77.0.1 (210 s)" in shown


FAR_GROUP, FAR_SOURCE = "ff3e:40:2001:db8:1234:5678:9abc:def0", "2001:db8:1111:2222:a00:27ff:fe12:3456"
SENDERS = [
    Sender("10.77.0.9", "alice", "eth1", 61.0, 0.0, 5000, 6_000_000, 833.0, 8_000_000.0),
    Sender("10.77.0.2", "bob", "", 7200.0, 90.0, 12, 12_000, 0.0, 0.0),
    Sender("10.77.0.3", "bob", "", 0.5, 0.0, 1, 100, None, None),
]


def test_groups_show_senders_with_rate_and_time_and_who_wants_them(capsys: pytest.CaptureFixture[str]) -> None:
    members = [Member("alice", "exclude", ["10.77.0.2"], 300.0), Member("bob", "exclude", [], 4000.0)]
    print_groups([Group("239.1.1.1", "*", members, True, 5, 500, 6, 600, 0, [], SENDERS)], [])
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[2] == "239.1.1.1 alice (not 10.77.0.2), bob yes 1 h 6 min 5 500 B 6 600 B"
    assert shown[6:] == [
        "239.1.1.1 10.77.0.9 alice eth1 2 nodes 1 min 1 s 8.0 Mb/s 5000",
        "239.1.1.1 10.77.0.2 bob 1 node 2 h 0 min silent 1 min 30 s 12",
        "239.1.1.1 10.77.0.3 bob 2 nodes 0 s - 1",
    ]


def test_a_sender_that_nobody_wants_has_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_groups([Group("239.1.1.1", "10.77.0.9", [], False, 0, 0, 0, 0, 0, [], SENDERS[:1])], [])
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[2] == "239.1.1.1 nobody no - 0 0 B 0 0 B"
    assert shown[6] == "239.1.1.1 10.77.0.9 alice eth1 nobody 1 min 1 s 8.0 Mb/s 5000"


@pytest.mark.parametrize("width", [80, 120])
def test_source_lists_are_shown_once_a_group_and_no_address_breaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    sources = [FAR_SOURCE, FAR_SOURCE.replace("3456", "3457")]
    members = [Member(name, "include", sources, 60.0) for name in ("alice", "bob")]
    host = LocalHost("02:00:00:00:00:01", "fe80::a00:27ff:fe12:3456", 2, "include", sources, 200.0, 9.0)
    timers = [LocalSource(source, 200.0) for source in sources]
    here = LocalGroup(1, "include", timers, None, 2, False, [host], [], "eth1", 9.0)
    sender = Sender(FAR_SOURCE, "bob", "", 61.0, 0.0, 10**9, 10**12, 833.0, 8e6)
    rows = [
        Group(FAR_GROUP, source, members, True, 10**9, 10**12, 10**9, 10**12, 0, [here], [sender]) for source in sources
    ]
    print_groups(rows, [ASKS])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    words = [word.strip("(),") for line in lines for word in line.split()]
    assert words.count(FAR_GROUP) <= 4
    members_shown = " ".join(" ".join(lines).split()).split("SENT TO")[0]
    assert members_shown.count(sources[1]) == 2, "once for each member"
    for word in (*sources, host.ip, host.mac, "eth1"):
        assert word in words


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
        "12:00:00 igmp port 0 vlan 7 router 10.77.0.2 gone",
    ]
    assert [change.event for change in changes(before, after, "now")] == [
        *("host_changed", "node_left", "querier_changed", "router_gone"),
    ]
    assert [change.change for change in changes({}, before, "now")] == ["joined"] * 4


def test_senders_begin_and_end_whatever_their_rate() -> None:
    group = Group("239.1.1.1", "10.77.0.9", [], False, 0, 0, 0, 0, 0, [], SENDERS[:1])
    faster = msgspec.structs.replace(SENDERS[0], rate_bps=1e9, packets=10**9, silent_s=9.0)
    silent = msgspec.structs.replace(SENDERS[0], silent_s=10.0)
    sending, ended = (facts([msgspec.structs.replace(group, senders=senders)], []) for senders in ([faster], [silent]))
    began = list(changes({}, facts([group], []), "now"))
    assert [(change.event, change.who, change.wants) for change in began] == [
        ("sender_started", "sender 10.77.0.9", "at alice eth1")
    ]
    assert list(changes(facts([group], []), sending, "now")) == []
    assert [line(change) for change in changes(sending, ended, "now")] == ["now 239.1.1.1 sender 10.77.0.9 stopped"]


def test_routers_and_queriers_are_seen_at_a_port_with_a_name() -> None:
    named = msgspec.structs.replace(ASKS, port_name="eth1")
    found = [(change.event, change.group) for change in changes({}, facts([], [named]), "now")]
    assert found == [("querier_seen", "igmp eth1"), ("router_seen", "igmp eth1")]


def test_what_stood_before_is_a_snapshot_with_an_end() -> None:
    told = list(snapshot(facts([LOCAL], []), "now"))
    assert [(change.event, change.snapshot) for change in told] == [
        *(("host_joined", True), ("node_joined", True), ("snapshot_end", False)),
    ]
    assert [line(change) for change in told][1:] == [
        "now 232.1.1.1 vlan 7 node alice is there: only 192.0.2.1",
        "now so far; from here on as it happens",
    ]


def test_watch_prints_a_line_for_each_change_until_it_is_interrupted(tmp_path: Path) -> None:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    asked: list[int | None] = []

    async def follow(since: int | None) -> Sliced:
        """The second group; the first, too; no more; then nothing happens."""
        asked.append(since)
        if since is None:
            return Sliced(GroupChanges(7, True, [], []), iter(GROUPS[1:]))
        touched = [TouchedGroup(0, GROUPS[0].group)] if since < 9 else []
        return Sliced(GroupChanges(min(since + 1, 9), False, touched, None), iter(GROUPS[:1] if since == 7 else []))

    directory = tmp_path / "alice"
    _make_node(tmp_path / "lab", directory)
    with serving(directory, follow=follow), _watching(directory) as process:
        assert process.stdout is not None
        changes = [msgspec.json.decode(process.stdout.readline(), type=WatchedChange) for _ in range(6)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert asked[:3] == [None, 7, 8]
    assert all(datetime.fromisoformat(change.at).utcoffset() is not None for change in changes)
    assert [(change.event, change.snapshot) for change in changes[:2]] == [
        *(("node_joined", True), ("snapshot_end", False)),
    ]
    assert not any(change.snapshot for change in changes[2:])
    assert [(change.change, change.who, change.wants) for change in changes[2:]] == [
        ("joined", "node bob", "any source"),
        ("joined", "node carol", "not 10.77.0.9"),
        ("left", "node bob", "any source"),
        ("left", "node carol", "not 10.77.0.9"),
    ]


def test_a_follower_that_fell_behind_is_told_a_new_snapshot() -> None:
    table = WatchedTable()
    following(table, GroupChanges(7, True, [], [ASKS], GROUPS), "now")
    assert table.groups() == GROUPS
    again = following(table, GroupChanges(9_000, True, [], [ASKS], [LOCAL]), "now")
    assert {change.snapshot for change in again[:-1]} == {True}
    assert again[-1].event == "snapshot_end"
    assert table.groups() == [LOCAL]


def test_an_answer_replaces_the_rows_that_it_touches_and_no_others() -> None:
    table = WatchedTable()
    following(table, GroupChanges(7, True, [], [ASKS], [*GROUPS, LOCAL]), "now")
    touched = [TouchedGroup(0, GROUPS[0].group), TouchedGroup(7, LOCAL.group)]
    found = following(table, GroupChanges(8, False, touched, None, [LOCAL]), "now")
    assert [(change.event, change.who) for change in found] == [("node_left", "node bob"), ("node_left", "node carol")]
    assert table.groups() == [GROUPS[1], LOCAL]
    assert table.queriers == [ASKS]
    (found_querier,) = following(table, GroupChanges(9, False, [], [msgspec.structs.replace(ASKS, routers=[])]), "now")
    assert found_querier.event == "router_gone"


def test_watch_ends_with_one_sentence_when_there_is_no_node(tmp_path: Path) -> None:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    _make_node(tmp_path / "lab", tmp_path / "alice")
    with _watching(tmp_path / "alice") as process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert "no node is running" in process.stderr.read()


def test_watch_ends_with_one_sentence_when_its_node_ends(tmp_path: Path) -> None:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    _make_node(tmp_path / "lab", tmp_path / "alice")
    asked: list[int | None] = []

    async def follow(since: int | None) -> Sliced:
        """All there is, and then nothing for ever."""
        asked.append(since)
        if since is not None:
            await asyncio.Event().wait()
        return Sliced(GroupChanges(7, True, [], []), iter(GROUPS[1:]))

    with serving(tmp_path / "alice", follow=follow):
        process = _watching(tmp_path / "alice")
        wait_until(lambda: len(asked) == 2, 20)
    with process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert process.stderr.read() == (
            f"treecast: the node in {tmp_path}/alice has ended: start it again with treecast up {tmp_path}/alice\n"
        )


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
