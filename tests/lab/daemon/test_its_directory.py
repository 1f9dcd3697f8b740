"""The directory of a running node, closed or moved away: one problem that says what to do, until it is as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import Lab, wait_until
from lab.node import Overlay
from tests.lab.overlay.asking import LIMIT_S
from treecast.api.client import fetch_status

LOOKS_S = 12.0
"""Each part of the node has looked at its files twice by then, and has failed twice where it does."""


def problems(directory: Path) -> list[tuple[str, str]]:
    """Kinds and texts, as a node whose socket is there says."""
    return [(problem.kind, problem.text) for problem in fetch_status(directory).problems]


def is_one_problem(directory: Path, end: str) -> None:
    """Waits for it, and then looks for others for a while."""
    wait_until(lambda: problems(directory), LIMIT_S, "it is said")
    since = fetch_status(directory).uptime_s

    def is_late() -> bool:
        ((kind, text),) = problems(directory)
        assert kind == "directory_unwritable" and text.endswith(end), text
        return fetch_status(directory).uptime_s > since + LOOKS_S

    wait_until(is_late, 3 * LOOKS_S, "all have looked")


@pytest.mark.soak
def test_a_directory_that_is_closed_or_moved_away_is_one_problem_until_it_is_as_before(lab: Lab) -> None:
    net = Overlay([lab.machine("n0", lab.switch())], lab.directory)
    net.start()
    home = net[0].directory
    assert problems(home) == []
    home.chmod(0o500)
    is_one_problem(home, f"{home} is closed to root (mode 0500): chmod u+rwx {home}")
    home.chmod(0o700)
    wait_until(lambda: problems(home) == [], LIMIT_S, "it is open again")
    away = home.rename(home.with_name("away"))
    is_one_problem(away, f"{home} is gone: put it back, or start the node again where its directory is now")
    away.rename(home)
    wait_until(lambda: problems(home) == [], LIMIT_S, "it is back")
    net.stop()
