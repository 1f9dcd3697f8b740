"""Certificates that end soon are problems that become more urgent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.links.shaking import certificate_of
from treecast.base.problems import Problem
from treecast.engine.certificates import DAY_S, EndingCertificates
from treecast.identity.certificate import Certificate

YEAR = 365 * DAY_S
OWN = certificate_of(1, not_after_s=2 * YEAR)
OTHER = certificate_of(2, not_after_s=YEAR)


def ending(own: Certificate, others: tuple[Certificate, ...], unix_now_s: float) -> list[Problem]:
    known = EndingCertificates(own)
    for other in others:
        known.put(other)
    return list(known.problems(unix_now_s, lambda: ""))


def urgency(unix_now_s: float) -> list[tuple[str, int]]:
    return [(problem.subject, problem.urgency) for problem in ending(OWN, (OTHER,), unix_now_s)]


def test_the_end_of_a_certificate_is_said_from_the_last_quarter_on_and_thirty_seven_and_one_days_before() -> None:
    n2 = [[("n2", urgency)] for urgency in range(1, 5)]
    days_left = {92: [], 91: n2[0], 31: n2[0], 30: n2[1], 8: n2[1], 7: n2[2], 1: n2[3], -1: []}
    assert {days: urgency(YEAR - days * DAY_S) for days in days_left} == days_left


def test_the_own_certificate_is_said_to_have_expired_and_what_to_do() -> None:
    (problem,) = ending(OWN, (), 2 * YEAR + 1)
    assert problem.text.startswith("this node's certificate expired at 1972-01-01T00:00:00Z")
    assert "treecast node renew n1" in problem.text


def test_a_clock_that_differs_from_another_node_s_is_suspected_before_anything_is_renewed() -> None:
    (problem,) = EndingCertificates(OWN).problems(3 * YEAR, lambda: "n2 says this, this node that")
    assert "by this node's clock; n2 says this, this node that: set the one" in problem.text
    assert "only if this one's is right, on the CA's machine run treecast node renew n1" in problem.text


def test_a_certificate_that_is_short_on_purpose_is_not_reported_all_its_life() -> None:
    short = replace(OTHER, not_after_s=10 * DAY_S)
    assert ending(OWN, (short,), 0) == []
    assert [[p.urgency for p in ending(OWN, (short,), day * DAY_S)] for day in (7.4, 7.6, 9.5)] == [[], [1], [2]]


def test_the_report_comes_at_a_quarter_of_the_life() -> None:
    for life_days, first_days in ((365, 91.25), (120, 30.0), (60, 15.0), (30, 7.5), (20, 5.0), (4, 1.0), (2, 0.5)):
        known = replace(OTHER, not_after_s=life_days * DAY_S)
        first_s = (life_days - first_days) * DAY_S
        assert [len(ending(OWN, (known,), at)) for at in (first_s - 60, first_s + 60)] == [0, 1], life_days


@pytest.mark.parametrize("life_s", [3600, DAY_S, 2 * DAY_S - 1])
def test_a_certificate_of_a_day_or_less_is_reported_in_the_last_quarter_of_its_life(life_s: int) -> None:
    short = replace(OWN, not_before_s=0, not_after_s=life_s)
    assert ending(short, (), 0.74 * life_s) == []
    (problem,) = ending(short, (), 0.76 * life_s)
    assert problem.text.startswith("this node's certificate ends at 1970-01-0")
    (problem,) = ending(short, (), life_s + 1)
    assert problem.urgency == 2


def test_a_wall_clock_that_is_set_back_takes_the_report_back_until_its_time_comes_again() -> None:
    known = EndingCertificates(OWN)
    known.put(OTHER)
    days = [[len(list(known.problems(YEAR - left * DAY_S, lambda: ""))) for left in (20, 95, 20)] for _ in range(2)]
    assert days == [[1, 0, 1], [1, 0, 1]]


def test_a_certificate_that_was_replaced_or_is_known_no_more_is_not_reported() -> None:
    known = EndingCertificates(OWN)
    known.put(OTHER)
    assert len(list(known.problems(YEAR - DAY_S, lambda: ""))) == 1
    known.put(replace(OTHER, not_after_s=2 * YEAR))
    assert list(known.problems(YEAR - DAY_S, lambda: "")) == []
    known.put(OTHER)
    known.remove(OTHER.node_index)
    assert list(known.problems(YEAR - DAY_S, lambda: "")) == []
