from __future__ import annotations

import dataclasses

import pytest

from bench.search import Trial, highest_rate


class Path:
    """A modelled overlay: it delivers up to ``capacity_pps``, its sender reaches ``sender_pps``."""

    def __init__(self, capacity_pps: float, sender_pps: float) -> None:
        self.capacity_pps = capacity_pps
        self.sender_pps = sender_pps
        self.tried: list[int | None] = []

    def run(self, wanted_pps: int | None) -> Trial:
        self.tried.append(wanted_pps)
        sent_pps = min(self.sender_pps, wanted_pps or self.sender_pps)
        return Trial(wanted_pps, sent_pps, round(sent_pps), round(min(sent_pps, self.capacity_pps)), 0)


@pytest.mark.parametrize("capacity_pps", [7_000, 20_500, 66_700, 140_000])
@pytest.mark.parametrize("guess_pps", [None, 30_000])
def test_the_capacity_is_found_within_the_resolution(capacity_pps: int, guess_pps: float | None) -> None:
    path = Path(capacity_pps, sender_pps=200_000)
    found = highest_rate(path.run, guess_pps, 24)
    assert 0.95 * capacity_pps < found.pps <= capacity_pps
    assert all(not trial.passed or trial.delivered_pps <= found.pps for trial in found.trials)


def test_one_trial_that_was_held_up_does_not_count_against_its_rate() -> None:
    path, held_up = Path(100_000, sender_pps=200_000), iter([True, False])

    def run(wanted_pps: int | None) -> Trial:
        trial = path.run(wanted_pps)
        return dataclasses.replace(trial, received_least=0) if trial.passed and next(held_up, False) else trial

    found = highest_rate(run, 80_000, 24)
    assert not found.trials[1].passed
    assert path.tried[1:3] == [80_000, 80_000]
    assert 95_000 < found.pps <= 100_000


def test_nothing_is_searched_when_the_sender_is_slower_than_the_overlay() -> None:
    path = Path(100_000, sender_pps=50_000)
    assert highest_rate(path.run, 40_000, 9).pps == 50_000
    assert path.tried == [None]


def test_the_number_of_trials_is_bounded() -> None:
    path = Path(1, sender_pps=200_000)
    found = highest_rate(path.run, 100_000, 5)
    assert 5 <= len(path.tried) <= 6
    assert found.pps == 0


def test_a_pace_that_the_sender_cannot_keep_ends_the_search() -> None:
    """The sender loses at its highest pace (in bursts), and not at the pace that it keeps: that is the limit."""

    def run(wanted_pps: int | None) -> Trial:
        if wanted_pps is None:
            return Trial(None, 60_000, 60_000, 59_000, 0)
        return Trial(wanted_pps, 50_000, 50_000, 50_000, 0)

    found = highest_rate(run, None, 9)
    assert len(found.trials) == 2
    assert found.pps == 50_000


def test_a_tenth_of_a_percent_may_be_lost() -> None:
    assert Trial(1000, 1000, 1000, 999, 0).passed
    assert not Trial(1000, 1000, 10_000, 9_989, 0).passed
    assert not Trial(1000, 0, 0, 0, 0).passed
