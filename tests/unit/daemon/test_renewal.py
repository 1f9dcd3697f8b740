"""A certificate that waits for a restart is said, and so are files that the node could not start with."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from treecast.adapters import storage
from treecast.base.problems import Problem
from treecast.base.time import Instant, iso_date
from treecast.daemon.renewal import LOOK_INTERVAL, Renewal
from treecast.identity.certificate import Certificate
from treecast.identity.node import NodeRequest


class Running:
    """A node's directory and who looks at it, in a time of its own."""

    def __init__(self, place: Path) -> None:
        self.network, self.directory = place / "home", place / "alice"
        storage.create_network(self.network, "home", "10.77.0.0/16", None)
        self.add(NodeRequest("alice", None, None, 30))
        self.renewal = Renewal(self.directory, storage.load_node(self.directory, time.time()).certificate)
        self.now = 0.0

    def add(self, request: NodeRequest) -> None:
        storage.add_node(self.network, self.directory, request, time.time())

    def problems(self) -> list[Problem]:
        """After two looks: what has just changed may be changing still."""
        for _ in range(2):
            self.now += LOOK_INTERVAL
            found = list(self.renewal.problems(Instant(self.now)))
        return found


@pytest.fixture
def running(tmp_path: Path) -> Running:
    node = Running(tmp_path)
    assert node.problems() == []
    return node


def test_a_renewed_certificate_in_the_directory_waits_for_a_restart(running: Running) -> None:
    running.add(NodeRequest("alice", None, None, 365, replace=True))
    until = storage.load_node(running.directory, time.time()).certificate.not_after_s
    (problem,) = running.problems()
    assert (problem.kind, problem.subject) == ("certificate_waits", "alice")
    assert f"valid until {iso_date(until)}, is in {running.directory}" in problem.text
    assert "start the node again" in problem.text
    assert running.problems() == [problem]


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
    running.add(NodeRequest("alice", None, None, 365, replace=True))
    for second in range(600, 1200):
        list(running.renewal.problems(Instant(running.now + second)))
    assert len(read) == 2, "by itself, and once more with all that a start reads"
