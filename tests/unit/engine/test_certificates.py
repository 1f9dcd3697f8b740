"""Certificates that end soon are problems that become more urgent."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.links.shaking import certificate_of
from treecast.engine.certificates import DAY_S, ending

YEAR = 365 * DAY_S
OWN = certificate_of(1, not_after_s=2 * YEAR)
OTHER = certificate_of(2, not_after_s=YEAR)


def urgency(unix_now_s: float) -> list[tuple[str, int]]:
    return [(problem.subject, problem.urgency) for problem in ending(OWN, (OWN, OTHER), unix_now_s)]


def test_the_end_of_another_node_s_certificate_is_said_thirty_seven_and_one_days_before() -> None:
    days_left = {31: [], 30: [("n2", 1)], 8: [("n2", 1)], 7: [("n2", 2)], 1: [("n2", 3)], -1: []}
    assert {days: urgency(YEAR - days * DAY_S) for days in days_left} == days_left


def test_the_own_certificate_is_said_to_have_expired_and_what_to_do() -> None:
    (problem,) = ending(OWN, (OWN,), 2 * YEAR + 1)
    assert problem.text.startswith("this node's certificate expired at 1972-01-01T00:00:00Z")
    assert "treecast node add n1 --replace" in problem.text


def test_a_certificate_that_is_short_on_purpose_is_not_reported_all_its_life() -> None:
    short = replace(OTHER, not_after_s=10 * DAY_S)
    assert list(ending(OWN, (short,), 0)) == []
    (problem,) = ending(OWN, (short,), 9.5 * DAY_S)
    assert problem.urgency == 1
