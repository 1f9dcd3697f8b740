"""How answers look to people."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from tests.unit.api.serving import GROUPS, HOSTS, PEERS, STATUS
from tests.unit.counting import steps_of
from treecast.api.records import Group, Host, Member, Peer
from treecast.base.rates import in_bytes
from treecast.base.time import in_time
from treecast.cli import tables
from treecast.cli.group_tables import print_groups
from treecast.cli.layout import Column


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_peers_are_aligned_with_state_and_path(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_peers(PEERS)
    header, _, bob, carol = _lines(capsys)
    assert bob.split() == ["bob", "-", "up", "-", "0.3", "ms", "192.0.2.7:7700", "-", "1.2", "MB", "999", "B"]
    assert carol.split()[-5:] == ["-", "0", "B", "0", "B"]
    assert header.index("PATH") == bob.index("192.0.2.7") == carol.index("[2001")


def test_peers_of_a_usual_network_are_a_line_each_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    traffic = (10**9, 10**9)
    rows = [
        Peer("alice", "f" * 32, "192.0.2.1:7700", "up", 12.3, *traffic, "10.77.0.1", "fd00::1", 3.0, "0.1.0"),
        Peer("bob", "f" * 32, "192.0.2.22:7700", "connecting", None, *traffic, "10.77.0.2", "fd00::2", 59.0, "0.1.0"),
    ]
    tables.print_peers(rows)
    lines = _lines(capsys)
    assert [line.split()[0] for line in lines[-2:]] == ["alice", "bob"]
    assert all(len(line) <= 80 for line in lines)
    assert "192.0.2.1:7700" in lines[-2]
    assert "192.0.2.22:7700" in lines[-1]


def test_a_link_on_demand_says_how_much_goes_there_and_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    near = Peer("alice", "f" * 32, "192.0.2.1:7700", "up", 12.3, 1, 1, link="near")
    rows = [
        near,
        *(replace(near, name=f"n{s}", link="on demand", demand_bps=4.2e6, demand_since_s=s) for s in (0.0, 9e5)),
    ]
    tables.print_peers(rows)
    alice, new, old = _lines(capsys)[-3:]
    assert " near  " in alice
    assert re.search(r" on demand: 4\.2 Mb/s since \d\d:\d\d ", new)
    assert re.search(r" on demand: 4\.2 Mb/s since \d\d \w+ \d\d:\d\d ", old)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_address_or_name_of_a_peer_is_broken_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    path, sought = "[2001:db8:1234:5678:9abc::1]:7700", "nowhere.example.invalid:7700"
    rows = [
        Peer("alice", "f" * 32, path, "up", 12.3, 1, 1, "10.77.0.1", "fd00::1", 3.0, "0.1.0"),
        Peer(sought, "", "", "name unresolved", None, 0, 0),
    ]
    tables.print_peers(rows)
    lines = _lines(capsys)
    assert all(len(line) <= max(width, len("LAST RX ") + len(path)) for line in lines)
    for whole in (path, sought, "10.77.0.1"):
        assert any(whole in line.split() for line in lines), whole


def test_groups_show_who_wants_which_sources(capsys: pytest.CaptureFixture[str]) -> None:
    print_groups(GROUPS, [])
    shown = "\n".join(_lines(capsys))
    assert "bob, carol (not 10.77.0.9)" in shown
    assert "alice (only fd00::1)" in shown
    assert "1.3 MB" in shown


def test_hosts_have_one_line_per_address(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_hosts(HOSTS)
    _, _, first, second = _lines(capsys)
    assert first.split() == ["02:54:00:00:00:01", "10.77.0.1", "alice", "0", "s"]
    assert second.split() == ["fdb1:6d60:f2aa:5883::1"]


def test_a_host_that_needs_the_operator_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    other = "02:00:00:00:00:02"
    host = Host("02:00:00:00:00:01", [], "bob", 1.0, 0, 7, True, 6, True, [other], unreachable="no link to bob")
    tables.print_hosts([host])
    shown = "\n".join(_lines(capsys))
    for note in (
        "VLAN 7",
        "unreachable: no link to bob",
        "router",
        "duplicate: in two places at once",
        f"conflict: same address as {other}",
    ):
        assert note in shown


def test_names_of_hosts_have_a_column_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_hosts(HOSTS)
    assert "NAME" not in _lines(capsys)[0]
    tables.print_hosts([Host("02:00:00:00:00:01", [], "bob", 1.0, name="camera.local"), *HOSTS])
    header, _, named, unnamed, *_ = _lines(capsys)
    assert header.index("NAME") == named.index("camera.local")
    assert unnamed.split()[2] == "-"


def test_status_shows_every_count_that_is_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_status(STATUS)
    shown = "\n".join(_lines(capsys))
    for text in (
        "alice (d035ab60)",
        "1 h 2 min",
        "1234 frames_in",
        "   7 frames_out",
        "12 frames to groups that no other node wants (no_subscriber)",
        "[::]:7700",
    ):
        assert text in shown
    assert "tag_bad" not in shown
    assert "node.example.net:7700" in shown


def test_nothing_is_said_to_be_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_peers([])
    print_groups([], [])
    tables.print_hosts([])
    assert _lines(capsys) == ["no peers", "no groups", "no hosts"]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_keep_everything_readable_in_narrow_terminals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(tables, "_WIDTH_WITHOUT_TERMINAL", width)
    long_address = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"
    tables.print_peers([Peer("a" * 20, "f" * 32, long_address, "up", 1234.5, 10**12, 10**12)])
    members = [Member(f"node-{number}", "exclude", []) for number in range(33)]
    print_groups([Group("ff3e::1234:5678", "fd00:1:2:3::1234", members, True, 10**9, 10**12, 10**9, 10**12)], [])
    lines = _lines(capsys)
    assert all(len(line) <= width for line in lines)
    shown = "".join("".join(lines).split())
    assert "node-32" in shown
    assert "…" not in shown


def test_a_table_ten_times_as_long_takes_ten_times_as_many_steps(capsys: pytest.CaptureFixture[str]) -> None:
    columns: tuple[Column, ...] = (("GROUP", "left"), ("PACKETS", "right"), ("MEMBERS", "left"))

    def shown(count: int) -> None:
        rows = [(f"239.1.1.{number}", str(number), "bob\n" + "x" * 60) for number in range(count)]
        tables.print_rows("none", columns, rows)

    assert steps_of(shown, 1_000) <= 11 * steps_of(shown, 100)
    capsys.readouterr()
    shown(10_000)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "GROUP        PACKETS MEMBERS"
    assert set(lines[1]) == {" ", "\u2500"}
    assert lines[4:6] == ["239.1.1.1          1 bob", f"{' ' * 21}{'x' * 60}"]
    assert len(lines) == 20_002


def test_text_from_the_network_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_peers([Peer("[red]x[/red]", "f" * 32, ":smile:", "up", None, 0, 0)])
    assert "[red]x[/red]" in "\n".join(_lines(capsys))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (10**19, "10000.0 PB")],
)
def test_bytes_have_decimal_units(count: int, text: str) -> None:
    assert in_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert in_time(seconds) == text
