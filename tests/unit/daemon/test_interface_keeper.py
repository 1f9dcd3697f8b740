"""How long the keeper of the interface waits before it gives back what somebody takes again and again."""

from __future__ import annotations

from itertools import pairwise

from treecast.base.time import Instant
from treecast.daemon.interface_keeper import FORGIVEN_AFTER, MOST_PATIENCE, SETTLE_TIME, Patience


def test_the_first_loss_is_mended_at_once_and_each_further_one_later_up_to_a_minute() -> None:
    patience, now = Patience(), Instant(100.0)
    waits = []
    for _ in range(12):
        due = patience.next_attempt(now)
        waits.append(due - now)
        patience.attempted(due)
        now = due
    assert abs(waits[0] - SETTLE_TIME) < 1e-9
    assert all(after >= before - 1e-9 for before, after in pairwise(waits))
    assert abs(waits[-1] - MOST_PATIENCE) < 1e-9


def test_the_first_losses_are_mended_within_2_s_of_each_other() -> None:
    """docs/interface.md says so of the first; an interface that goes down and comes up at once loses twice."""
    patience, lost_at = Patience(), Instant(100.0)
    for _ in range(3):
        due = patience.next_attempt(lost_at)
        assert due - lost_at < 2.0
        patience.attempted(due)
        lost_at = due


def test_who_leaves_the_interface_alone_for_a_while_is_forgiven() -> None:
    patience, now = Patience(), Instant(100.0)
    for _ in range(12):
        now = patience.next_attempt(now)
        patience.attempted(now)
    later = Instant(now + FORGIVEN_AFTER + 1.0)
    assert abs(patience.next_attempt(later) - later - SETTLE_TIME) < 1e-9
