"""How long entries that were refused wait."""

from __future__ import annotations

from treecast.base.retries import CALM, Retries
from treecast.base.time import Instant


def test_refusals_now_and_then_wait_longer_each_time_and_the_first_after_a_calm_as_short_as_the_first() -> None:
    retries: Retries[int] = Retries()
    now, pauses = Instant(0.0), []
    for quiet in (CALM, CALM, CALM, CALM + 0.1, CALM):
        retries.add(now, 1)
        due = retries.next_deadline()
        assert due is not None
        pauses.append(due - now)
        assert retries.take(due) == [1]
        now = Instant(now + quiet)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 1.0]
