"""Recent ARP and ND solicitations for hosts of this node: they reach the host itself and need not cross the overlay.

A solicitation that is repeated within 3.5 s got no answer: the host may have gone elsewhere without a frame. Then it
is flooded.
"""

from __future__ import annotations

from collections import OrderedDict

from treecast.base.addresses import MacAddress
from treecast.base.limits import MAX_SOLICITATIONS
from treecast.base.time import Duration, Instant, after
from treecast.discovery.local_hosts import AddressKey

REPEAT_WINDOW: Duration = 3.5
"""RFC 4861 section 10: three solicitations a second apart; Linux sends ARP requests as often."""


class RecentSolicitations:
    """Solicitations of the last seconds, by sender and target. Bounded: the oldest is forgotten for a new one."""

    def __init__(self) -> None:
        self._sent: OrderedDict[tuple[MacAddress, AddressKey], Instant] = OrderedDict()

    def is_repeated(self, now: Instant, sender: MacAddress, target: AddressKey) -> bool:
        """Whether this sender has just sent the same; from now on it has."""
        while self._sent and after(next(iter(self._sent.values())), REPEAT_WINDOW) <= now:
            self._sent.popitem(last=False)
        repeated = self._sent.pop((sender, target), None) is not None
        self._sent[(sender, target)] = now
        if len(self._sent) > MAX_SOLICITATIONS:
            self._sent.popitem(last=False)
        return repeated
