"""Fixtures of the tests that need root and network namespaces."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from lab import Lab
from lab.load import ending_streams
from lab.node import Overlay
from lab.sites import Sites, make_sites

HERE = Path(__file__).parent
OVERLAYS = pytest.StashKey[list[Overlay]]()
"""The overlays that a test uses."""


class OverlayFactory(Protocol):
    """``overlay(4)``: a lab's switch, machines n0 to n3 on it, and a running node on each."""

    def __call__(self, count: int, *, start: bool = True) -> Overlay: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share something run in one process: those of the three sites of a folder, and those of a file. The
    sites' take longest, so they are the first of the lab's.
    """
    items.sort(key=lambda item: item.path.is_relative_to(HERE) and not _uses_the_sites(item))
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.lab)
            item.add_marker(pytest.mark.xdist_group(str(item.path.parent if _uses_the_sites(item) else item.path)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the nodes know at that moment, and what they logged."""
    report = yield
    if report.failed and call.when == "call":
        overlays = item.stash.get(OVERLAYS, [])
        report.sections += [(f"node {node.name}", node.describe()) for overlay in overlays for node in overlay.nodes]
    return report


def _uses_the_sites(item: pytest.Item) -> bool:
    return "three_sites" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def streams_end_with_their_test() -> Iterator[None]:
    """Later tests on the same LANs have them for themselves, whatever became of this one."""
    with ending_streams():
        yield


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty lab; all of it is gone after the test."""
    with Lab() as own:
        yield own


@pytest.fixture(scope="session")
def three_sites() -> Iterator[Sites]:
    with Lab() as lab:
        own = make_sites(lab, 3, hosts=3)
        own.bridge_all()
        yield own


@pytest.fixture
def sites(request: pytest.FixtureRequest, three_sites: Sites) -> Sites:
    """Three LANs of three hosts, all bridged. For tests that only talk through them: all of them have the same.

    ::

          h1.1 h1.2 h1.3        h2.1 h2.2 h2.3        h3.1 h3.2 h3.3
         ===+====+====+===     ===+====+====+===     ===+====+====+===
                   |                     |                     |
                   n0                    n1                    n2
         ==========+======= underlay ====+=====================+======
    """
    request.node.stash[OVERLAYS] = [three_sites.overlay]
    return three_sites


@pytest.fixture
def overlay(request: pytest.FixtureRequest, lab: Lab) -> OverlayFactory:
    """Makes overlays on new machines of ``lab``."""
    made: list[Overlay] = []
    request.node.stash[OVERLAYS] = made

    def make(count: int, *, start: bool = True) -> Overlay:
        lan = lab.switch()
        first = len(lab.machines)
        machines = [lab.machine(f"n{first + number}", lan) for number in range(count)]
        directory = lab.directory / f"overlay{len(made)}"
        directory.mkdir()
        made.append(Overlay(machines, directory))
        if start:
            made[-1].start()
        return made[-1]

    return make
