"""Certificates that end soon, this node's and others'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treecast.base.problems import Problem
from treecast.base.time import iso_date
from treecast.identity.certificate import Certificate

DAY_S = 86_400
WARN_DAYS = (30, 7, 1)
SHORT_LIFE_PART = 4
"""Of the life of one that was issued for less than 60 days; the last part is reported, too."""


def ending(own: Certificate, all_known: Iterable[Certificate], unix_now_s: float) -> Iterator[Problem]:
    """One problem for each, which becomes more urgent: 30, 7 and 1 days before the end.

    A certificate that was issued for less than twice as many days is not reported so early, but in the last quarter
    of its life.
    """
    for certificate in all_known:
        left_s = certificate.not_after_s - unix_now_s
        is_own = certificate.node_index == own.node_index
        if left_s > WARN_DAYS[0] * DAY_S or (left_s < 0 and not is_own):
            continue
        lifetime_s = certificate.not_after_s - certificate.not_before_s
        times = [days * DAY_S for days in WARN_DAYS if lifetime_s >= 2 * days * DAY_S]
        if len(times) < len(WARN_DAYS):
            times.append(lifetime_s // SHORT_LIFE_PART)
        urgency = sum(left_s <= time_s for time_s in times) + (left_s < 0)
        if not urgency:
            continue
        whose = "this node's certificate" if is_own else f"the certificate of {certificate.name}"
        until = iso_date(certificate.not_after_s)
        what = f"{whose} expired at {until}, no node takes it any more" if left_s < 0 else f"{whose} ends at {until}"
        yield Problem(
            "certificate_ends",
            certificate.name,
            f"{what}: on the CA's machine run treecast node add {certificate.name} --replace, take its files to the "
            f"node's machine, and start it again",
            urgency,
        )
