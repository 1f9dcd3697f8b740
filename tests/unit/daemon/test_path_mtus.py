"""Path MTUs, as the kernel has been told them: one sentence, and never more queries than a few."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from treecast.base.addresses import IPAddress
from treecast.daemon.path_mtus import LOOKS_FOR_ALL, MOST_QUERIED, PathMtus

LINKED = frozenset(ip_address(f"192.0.2.{number}") for number in range(1, 31))
LONGEST, SMALLEST = 1500, 1280
NAMES: dict[IPAddress, str] = {ip_address("192.0.2.3"): "n3", ip_address("192.0.2.24"): "n24, n25"}


class Kernel:
    """Paths as it knows them, and how often it was asked for each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[IPAddress, int] = {}
        self.asked: list[IPAddress] = []
        monkeypatch.setattr("treecast.daemon.path_mtus.path_mtus_to", self._of)

    def _of(self, addresses: Iterable[IPAddress]) -> dict[IPAddress, int]:
        due = list(addresses)
        self.asked += due
        return {address: self.known[address] for address in due if address in self.known}


def narrow(number: int) -> IPAddress:
    return ip_address(f"192.0.2.{number}")


def texts(paths: PathMtus) -> list[str]:
    return [problem.text for problem in paths.problems(LONGEST, SMALLEST, NAMES.copy)]


def test_a_path_narrower_than_datagrams_are_is_one_sentence_and_over_once_the_kernel_has_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel, paths = Kernel(monkeypatch), PathMtus()
    kernel.known = {narrow(3): 1400}
    for _ in range(LOOKS_FOR_ALL):
        paths.look(LINKED)
    assert texts(paths) == [
        "by its ICMP messages a router on the way to n3 at 192.0.2.3 carries packets of 1400 bytes, and this node "
        "sends some of 1500, which are lost there: start with --underlay-mtu 1400"
    ]
    assert list(paths.problems(1400, SMALLEST, NAMES.copy)) == []
    kernel.known = {}
    for _ in range(LOOKS_FOR_ALL):
        paths.look(LINKED)
    assert texts(paths) == []


def test_the_narrowest_comes_first_and_below_the_least_that_nodes_need_no_option_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel, paths = Kernel(monkeypatch), PathMtus()
    kernel.known = {narrow(number): 1300 - number for number in range(20, 26)}
    for _ in range(LOOKS_FOR_ALL):
        paths.look(LINKED)
    (text,) = texts(paths)
    assert "to 192.0.2.25, n24, n25 at 192.0.2.24, 192.0.2.23, 192.0.2.22 and 2 more carries packets of 1275" in text
    assert text.endswith("nodes need 1280: have that router carry them")


def test_each_is_asked_for_in_its_turn_and_nothing_is_kept_of_nodes_that_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel, paths = Kernel(monkeypatch), PathMtus()
    kernel.known = dict.fromkeys(LINKED, 1400)
    for _ in range(2 * LOOKS_FOR_ALL):
        paths.look(LINKED)
    assert [kernel.asked.count(address) for address in LINKED] == [2] * len(LINKED)
    paths.look(frozenset())
    assert texts(paths) == []


def test_of_a_thousand_as_few_are_asked_for_at_once_as_of_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (100, 1_000):
        kernel, paths = Kernel(monkeypatch), PathMtus()
        linked = frozenset(ip_address("198.18.0.0") + number for number in range(count))
        for look in range(1, 6):
            paths.look(linked)
            assert len(kernel.asked) == look * MOST_QUERIED
        assert len(set(kernel.asked)) == len(kernel.asked)
