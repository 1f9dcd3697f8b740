"""The highest rate that is delivered whole: decides which rate to try next, and runs nothing itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LOSS_LIMIT = 0.001  # 0.1 %, at the worst subscriber
RESOLUTION = 1.04  # the search ends when the bracket is this narrow
WIDEN = 1.4  # how far the bracket is opened while one of its ends is missing
HELD_UP = 0.97  # a sender below this share of the wanted rate is itself the limit


@dataclass(frozen=True, slots=True)
class Trial:
    """One stream of a fixed rate. ``wanted_pps`` None: as fast as the sender could."""

    wanted_pps: int | None
    sent_pps: float
    sent: int
    received_least: int
    socket_drops: int

    @property
    def loss(self) -> float:
        """Share of the sent datagrams that the worst subscriber did not get; 1 when none was sent."""
        return (self.sent - self.received_least) / self.sent if self.sent else 1.0

    @property
    def delivered_pps(self) -> float:
        """Datagrams per second that every subscriber has got."""
        return self.sent_pps * (1 - self.loss)

    @property
    def passed(self) -> bool:
        return self.loss <= LOSS_LIMIT

    @property
    def sender_was_the_limit(self) -> bool:
        return self.wanted_pps is None or self.sent_pps < HELD_UP * self.wanted_pps


@dataclass(frozen=True, slots=True)
class Found:
    """The best trial that passed gives the rate; 0 when none has."""

    trials: tuple[Trial, ...]

    @property
    def pps(self) -> float:
        return max((trial.delivered_pps for trial in self.trials if trial.passed), default=0.0)


def highest_rate(run: Callable[[int | None], Trial], guess_pps: float | None, most_trials: int) -> Found:
    """Bisects (geometrically) between a rate that passed and one that did not.

    The first trial is as fast as the sender can: when that passes there is nothing to search. Else the search begins
    at the guess, or at what the first trial delivered. A rate has not passed when two trials of it have not: one alone
    may have met other work of the machine, which holds up who reads a queue for some milliseconds. A trial whose
    sender could not keep the rate, yet lost nothing, ends the search: higher rates would be the same trial.
    """
    trials = [run(None)]
    if trials[0].passed:
        return Found(tuple(trials))
    passed, failed = 0.0, math.inf
    rate = max(guess_pps or trials[0].delivered_pps, 1.0)
    while len(trials) < most_trials and failed / max(passed, 1.0) > RESOLUTION:
        trial = run(round(rate))
        trials.append(trial)
        if not trial.passed:
            trial = run(round(rate))
            trials.append(trial)
        if not trial.passed:
            failed = min(failed, rate)
        elif trial.sender_was_the_limit:
            break
        else:
            passed = max(passed, rate)
        rate = _between(passed, failed)
    return Found(tuple(trials))


def _between(passed: float, failed: float) -> float:
    if math.isinf(failed):
        return passed * WIDEN
    if passed == 0.0:
        return max(failed / WIDEN, 1.0)
    return math.sqrt(passed * failed)
