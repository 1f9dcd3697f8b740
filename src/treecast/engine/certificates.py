"""Certificates that end soon, this node's and others'."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Instant, iso_date
from treecast.base.timers import Timers
from treecast.identity.certificate import Certificate

DAY_S = 86_400
WARN_DAYS = (30, 7, 1)
LIFE_PARTS = 4
"""The report comes in the last of so many parts of the certificate's life."""


class EndingCertificates:
    """Certificates that a node knows, its own among them. One that is not reported yet costs nothing until it is."""

    def __init__(self, own: Certificate) -> None:
        self._own = own
        self._waiting: Timers[NodeIndex] = Timers()
        """The time at which each is reported first: seconds since 1970, not of the monotonic clock."""
        self._soon: set[NodeIndex] = set()
        self._certificates: dict[NodeIndex, Certificate] = {}
        self.put(own)

    def put(self, certificate: Certificate) -> None:
        """The certificate of a node that is known from now on."""
        node = certificate.node_index
        if self._certificates.get(node) != certificate:
            self._certificates[node] = certificate
            self._soon.discard(node)
            self._wait(certificate)

    def remove(self, node: NodeIndex) -> None:
        """The node is known no more."""
        self._certificates.pop(node, None)
        self._soon.discard(node)
        self._waiting.cancel(node)

    def problems(self, unix_now_s: float, clock_doubt: Callable[[], str]) -> Iterator[Problem]:
        """One for each in the last quarter of its life, which becomes more urgent 30, 7 and 1 days before the end.

        ``clock_doubt``: another node whose clock differs, in words; empty where there is none. It compares the clocks
        of all linked nodes, so it is called once, and only where a certificate ends.
        """
        doubt: str | None = None
        self._soon.update(self._waiting.due(Instant(unix_now_s)))
        for node in sorted(self._soon):
            certificate = self._certificates[node]
            if unix_now_s < _first_reported_s(certificate):  # the wall clock was set back
                self._soon.discard(node)
                self._wait(certificate)
            elif unix_now_s <= certificate.not_after_s or node == self._own.node_index:
                doubt = clock_doubt() if doubt is None else doubt
                yield self._problem(certificate, certificate.not_after_s - unix_now_s, doubt)

    def _wait(self, certificate: Certificate) -> None:
        self._waiting.set(certificate.node_index, Instant(_first_reported_s(certificate)))

    def _problem(self, certificate: Certificate, left_s: float, clock_doubt: str) -> Problem:
        is_own = certificate.node_index == self._own.node_index
        whose = "this node's certificate" if is_own else f"the certificate of {certificate.name}"
        until = iso_date(certificate.not_after_s)
        what = f"{whose} expired at {until}, no node takes it any more" if left_s < 0 else f"{whose} ends at {until}"
        renew = (
            f"on the CA's machine run treecast node renew {certificate.name}, and put the new node.cert into the "
            f"node's directory"
        )
        doubtful = (
            f"{what}, by this node's clock; {clock_doubt}: set the one that is wrong; only if this one's is right, "
        )
        return Problem(
            "certificate_ends",
            certificate.name,
            f"{doubtful}{renew}" if clock_doubt else f"{what}: {renew}",
            sum(left_s <= before_s for before_s in _reported_before_s(certificate)) + (left_s < 0),
            remind_interval=DAY_S,
        )


def _first_reported_s(certificate: Certificate) -> int:
    return certificate.not_after_s - max(_reported_before_s(certificate))


def _reported_before_s(certificate: Certificate) -> list[int]:
    """How long before its end the report becomes more urgent, each time."""
    last_part_s = (certificate.not_after_s - certificate.not_before_s) // LIFE_PARTS
    return [last_part_s, *(days * DAY_S for days in WARN_DAYS if days * DAY_S < last_part_s)]
