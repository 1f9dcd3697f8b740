"""Two sites whose LANs are not bridged yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from lab.node import TreecastNode
from lab.sites import Sites, make_sites, show_logs


@pytest.fixture(scope="module")
def apart() -> Iterator[Sites]:
    """Nothing is bridged, before each test and after it."""
    with Lab() as lab:
        sites = make_sites(lab)
        yield sites
        show_logs(sites.overlay.nodes)


@pytest.fixture
def one(apart: Sites) -> TreecastNode:
    return apart.overlay[0]
