"""Joins and leaves through switch mode, as the bench measures them."""

from __future__ import annotations

import pytest

from bench.switching import measure_on
from lab.sites import Sites

pytestmark = pytest.mark.soak


def test_a_join_costs_little_and_takes_effect_soon(sites: Sites) -> None:
    found = measure_on(sites, 3)
    assert len(found.join_s) == len(found.leave_s) == 3
    assert 0 < max(found.join_s) < 1.0
    assert 0 < max(found.leave_s) < 4.0  # the Last Member Query Time and some, where not all hosts are known yet
    assert 200 < found.join_bytes < 2000  # an advertisement to each of two nodes, and their acknowledgements
