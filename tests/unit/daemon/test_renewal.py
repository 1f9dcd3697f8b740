"""A renewed certificate is taken; files that the node cannot take, or could not start with, are said."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from treecast.adapters import storage
from treecast.adapters.bridge_record import PacketPortRecord, write_packet_ports
from treecast.base.errors import OperatorError
from treecast.base.problems import Problem
from treecast.base.time import Instant, iso_date
from treecast.daemon.renewal import LOOK_INTERVAL, Renewal
from treecast.identity.certificate import Certificate
from treecast.identity.node import NodeRequest
from treecast.identity.rights import Role


class Running:
    """A node's directory and who looks at it, in a time of its own."""

    def __init__(self, place: Path) -> None:
        self.network, self.directory = place / "home", place / "alice"
        storage.create_network(self.network, "home", "10.77.0.0/16", None)
        self.add(NodeRequest("alice", None, None, 30))
        self.taken: list[Certificate] = []
        self.renewal = Renewal(self.directory, storage.load_node(self.directory, time.time()), self.taken.append)
        self.now = 0.0

    @property
    def certificate(self) -> Certificate:
        """The one in the directory."""
        return storage.load_node(self.directory, time.time()).certificate

    def renew(self, days: int = 365, roles: Role | None = None, later_s: float = 1.0) -> None:
        storage.renew_node(self.network, self.directory, "alice", days, roles, time.time() + later_s)

    def add(self, request: NodeRequest) -> None:
        storage.add_node(self.network, self.directory, request, time.time())

    def problems(self) -> list[Problem]:
        """The problems after two looks: what has just changed may be changing still."""
        for _ in range(2):
            self.now += LOOK_INTERVAL
            found = list(self.renewal.problems(Instant(self.now)))
        return found


@pytest.fixture
def running(tmp_path: Path) -> Running:
    node = Running(tmp_path)
    assert node.problems() == []
    return node


def test_a_renewed_certificate_in_the_directory_is_taken_once(running: Running) -> None:
    running.renew()
    assert running.problems() == []
    assert running.problems() == []
    assert running.taken == [running.certificate]
    running.renew(roles=Role.BRIDGE, later_s=2.0)
    assert running.problems() == []
    assert running.taken[1:] == [running.certificate]


def test_a_renewed_certificate_is_taken_at_once_where_somebody_says_that_it_is_there(running: Running) -> None:
    running.renew()
    running.renewal.look_now()
    assert running.taken == [running.certificate]


def test_what_cannot_be_taken_while_the_node_runs_waits_and_is_said(running: Running, tmp_path: Path) -> None:
    before = running.certificate
    storage.add_node(running.network, tmp_path / "new", NodeRequest("alice", None, None, 365, True), time.time() + 1)
    right = {name: (running.directory / name).read_bytes() for name in ("node.cert", "node.key")}
    for name in right:
        (running.directory / name).write_bytes((tmp_path / "new" / name).read_bytes())
    (problem,) = running.problems()
    assert (problem.kind, problem.subject) == ("certificate_waits", "alice")
    assert f"valid until {iso_date(running.certificate.not_after_s)}, is in {running.directory}" in problem.text
    assert "it is for other keys: start the node again" in problem.text
    assert running.problems() == [problem]
    for name, content in right.items():
        (running.directory / name).write_bytes(content)
    assert running.problems() == []
    assert (running.taken, running.certificate) == ([], before)


def test_an_older_certificate_than_the_one_in_use_is_not_taken(running: Running) -> None:
    older = (running.directory / "node.cert").read_bytes()
    running.renew()
    assert running.problems() == []
    (running.directory / "node.cert").write_bytes(older)
    (problem,) = running.problems()
    assert problem.kind == "certificate_waits"
    assert "it is older than the one in use, by its serial (1, in use 2): put the newer one back" in problem.text
    assert len(running.taken) == 1


def test_a_certificate_that_was_issued_later_is_taken_though_the_clock_of_the_ca_was_set_back(running: Running) -> None:
    before = running.certificate
    running.renew(later_s=-7 * 86_400.0)
    assert running.certificate.not_before_s < before.not_before_s
    assert running.problems() == []
    assert running.taken == [running.certificate]


def test_a_node_that_carries_lans_keeps_the_role_that_it_needs_for_that(running: Running) -> None:
    running.renew(roles=Role.BRIDGE)
    write_packet_ports(running.directory, [PacketPortRecord("wlan0")])
    assert running.problems() == []
    running.renew(roles=Role.RELAY, later_s=2.0)
    (problem,) = running.problems()
    assert problem.kind == "certificate_waits"
    assert "run treecast bridge remove, or treecast node renew alice --role bridge,relay where the CA" in problem.text
    write_packet_ports(running.directory, [])
    assert running.problems() == [], "what was in the way is gone, and no file of these has changed"
    assert len(running.taken) == 2


@pytest.mark.parametrize("name", ["node.cert", "node.key", "network.json"])
def test_files_that_the_node_could_not_start_with_are_said_until_they_are_right_again(
    running: Running, name: str
) -> None:
    file = running.directory / name
    right = file.read_bytes()
    file.write_bytes(right[:-3])
    (problem,) = running.problems()
    assert (problem.kind, problem.subject) == ("directory_unusable", "alice")
    assert f"{file} is damaged" in problem.text
    file.unlink()
    (problem,) = running.problems()
    assert (problem.kind, problem.subject) == ("directory_unusable", "alice")
    assert f"{file} is missing" in problem.text
    file.write_bytes(right)
    file.chmod(0o600)
    assert running.problems() == []


def test_a_directory_that_is_gone_is_no_problem_of_its_files(running: Running) -> None:
    away = running.directory.with_name("away")
    running.directory.rename(away)
    assert running.problems() == []
    running.directory.mkdir()
    assert [problem.kind for problem in running.problems()] == ["directory_unusable"]
    running.directory.rmdir()
    away.rename(running.directory)
    assert running.problems() == []


@pytest.mark.parametrize("name", ["node.cert", "node.key", "network.json"])
def test_a_file_that_is_closed_to_its_owner_is_said_as_a_start_says_it_until_it_is_open_again(
    running: Running, name: str
) -> None:
    file = running.directory / name
    right = file.stat().st_mode & 0o7777
    file.chmod(0)
    (problem,) = running.problems()
    assert problem.kind == "directory_unusable"
    assert problem.text.endswith(f"{file} may not be read by its owner (mode 0000): chmod {right:o} {file}")
    with pytest.raises(OperatorError) as caught:
        storage.load_node(running.directory, time.time())
    assert problem.text.endswith(str(caught.value))
    file.chmod(right)
    assert running.problems() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": bytes(32)}, "has another network key (fingerprint 53d4b384e00e7835) than alice runs with"),
        ({"name": "work"}, "has another name or other prefixes than alice runs with"),
    ],
    ids=["key", "name"],
)
def test_a_network_file_with_another_key_is_a_problem_until_it_is_right_and_a_renewal_is_taken_beside_it(
    running: Running, change: dict[str, Any], said: str
) -> None:
    file = running.directory / "network.json"
    right = file.read_bytes()
    file.write_bytes(replace(storage.load_network(running.directory), **change).encode())
    (problem,) = running.problems()
    assert (problem.kind, problem.subject) == ("directory_unusable", "alice")
    assert f"{file} {said}" in problem.text
    assert problem.text.endswith(": put the right one back, or, if all nodes are to have this one, start alice again")
    running.renew()
    assert running.problems() == [problem]
    assert running.taken == [running.certificate]
    file.write_bytes(right)
    assert running.problems() == []


def test_files_that_may_be_read_by_others_are_said_until_they_may_not(running: Running) -> None:
    file = running.directory / "node.key"
    file.chmod(0o644)
    (problem,) = running.problems()
    assert f"{file} is open to other accounts (mode 0644): chmod 600 {file}" in problem.text
    file.chmod(0o600)
    assert running.problems() == []


def test_a_directory_that_others_may_write_is_said_until_they_may_not(running: Running) -> None:
    running.directory.chmod(0o770)
    (problem,) = running.problems()
    assert problem.kind == "directory_unusable"
    assert problem.text.endswith(f": chmod go-w {running.directory}")
    running.directory.chmod(0o700)
    assert running.problems() == []


@pytest.mark.parametrize("name", ["node.key", "network.json"])
def test_another_key_or_network_beside_the_certificate_in_use_is_said(
    running: Running, tmp_path: Path, name: str
) -> None:
    storage.create_network(tmp_path / "other", "home", "10.77.0.0/16", None)
    storage.add_node(tmp_path / "other", tmp_path / "bob", NodeRequest("bob", None, None, 30), time.time())
    (running.directory / name).write_bytes((tmp_path / "bob" / name).read_bytes())
    (problem,) = running.problems()
    assert (problem.kind, problem.subject) == ("directory_unusable", "alice")
    assert "put the right one back" in problem.text


def test_the_files_of_another_node_are_told_from_a_renewal(running: Running, tmp_path: Path) -> None:
    storage.add_node(running.network, tmp_path / "bob", NodeRequest("bob", None, None, 30), time.time())
    for name in ("node.cert", "node.key"):
        (running.directory / name).write_bytes((tmp_path / "bob" / name).read_bytes())
    (problem,) = running.problems()
    assert problem.kind == "directory_unusable"
    assert "bob" in problem.text


def test_files_are_read_when_they_have_changed_and_looked_at_every_few_seconds(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    load = storage.load_certificate

    def noted(path: Path) -> Certificate:
        read.append(path)
        return load(path)

    monkeypatch.setattr(storage, "load_certificate", noted)
    for second in range(600):
        list(running.renewal.problems(Instant(running.now + second)))
    assert read == []
    running.renew()
    for second in range(600, 1200):
        list(running.renewal.problems(Instant(running.now + second)))
    assert len(read) == 2, "by itself, and once more with all that a start reads"
