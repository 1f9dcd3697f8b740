from __future__ import annotations

import pytest

from lab.impairment import loss_ruleset


def test_a_share_is_in_steps_of_a_thousandth_percent() -> None:
    assert "numgen random mod 100000 < 2500 drop" in loss_ruleset("eth0", 2.5)
    assert "numgen random mod 100000 < 1 drop" in loss_ruleset("eth0", 0.001)


def test_all_is_dropped_without_chance() -> None:
    assert "{ ip, ip6 } drop" in loss_ruleset("eth0", 100)


def test_no_loss_only_removes_what_was() -> None:
    assert "drop" not in loss_ruleset("eth0", 0)
    assert "delete table" in loss_ruleset("eth0", 0)


@pytest.mark.parametrize("percent", [-1, 100.1])
def test_what_is_no_percentage_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="not a percentage"):
        loss_ruleset("eth0", percent)
