"""A descriptor that a verb hands to the node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from treecast.api.handover import DescriptorInbox, hand_over
from treecast.base.errors import OperatorError


def opened() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def give(directory: Path, interface: str, content: str) -> None:
    path = directory / content
    path.write_text(content)
    with path.open() as file:
        hand_over(directory, interface, file.fileno())


def content(descriptor: int) -> str:
    with os.fdopen(descriptor) as file:
        return file.read()


def test_what_was_handed_over_waits_and_the_latest_of_each_interface_counts(tmp_path: Path) -> None:
    before = opened()
    inbox = DescriptorInbox(tmp_path)
    assert inbox.take() == {}
    give(tmp_path, "wlan0", "older")
    give(tmp_path, "bnep0", "other")
    give(tmp_path, "wlan0", "newer")
    assert {name: content(descriptor) for name, descriptor in inbox.take().items()} == {
        "wlan0": "newer",
        "bnep0": "other",
    }
    give(tmp_path, "wlan0", "never taken")
    inbox.close()
    assert opened() == before


def test_the_socket_is_its_owner_s_and_goes_with_the_node(tmp_path: Path) -> None:
    inbox = DescriptorInbox(tmp_path)
    assert (tmp_path / "ports.sock").stat().st_mode & 0o777 == 0o600
    DescriptorInbox(tmp_path).close()  # whoever holds the node's lock replaces an older one
    inbox.close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_node_and_when_it_takes_no_more_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no node is running"):
        hand_over(tmp_path, "wlan0", 0)
    inbox = DescriptorInbox(tmp_path)
    with pytest.raises(OperatorError, match="try again"):
        for _ in range(10_000):
            hand_over(tmp_path, "wlan0", 0)
    inbox.close()
    with pytest.raises(OperatorError, match="use a directory that can be written"):
        DescriptorInbox(tmp_path / "none")


def test_a_socket_that_somebody_removed_is_made_again_and_nothing_that_came_is_lost(tmp_path: Path) -> None:
    inbox = DescriptorInbox(tmp_path)
    assert inbox.is_in_place()
    give(tmp_path, "wlan0", "before")
    (tmp_path / "ports.sock").unlink()
    (tmp_path / "ports.sock").mkdir()
    assert not inbox.is_in_place(), "whatever has its name, and perhaps its inode"
    with pytest.raises(OperatorError, match=r"ports.sock \(is a directory\): remove it"):
        inbox.make_again()
    with pytest.raises(OperatorError, match=r"ports.sock is no socket: remove it, and a node that runs in"):
        hand_over(tmp_path, "wlan0", 0)
    assert not list(tmp_path.glob(".ports*"))
    (tmp_path / "ports.sock").rmdir()
    inbox.make_again()
    give(tmp_path, "bnep0", "after")
    assert {name: content(descriptor) for name, descriptor in inbox.take().items()} == {
        "wlan0": "before",
        "bnep0": "after",
    }
    inbox.close()
