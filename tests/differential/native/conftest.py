"""Data planes for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.planes import DataPlanes


@pytest.fixture(scope="module")
def planes() -> Iterator[DataPlanes]:
    """Two that are linked, on machines that send nothing by themselves."""
    with DataPlanes(2) as both:
        for machine in (plane.machine for plane in both.planes):
            machine.disable_ipv6()
        yield both
