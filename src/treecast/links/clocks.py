"""Wall clocks of linked nodes that differ from this one's: certificates are judged by them, and logs compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.links.calendar import in_words
from treecast.links.peers import Peer

TOLERANCE: Duration = 30.0
"""A handshake's clock is up to ten seconds old when it is read."""


def differing(now: Instant, wall_clock_ms: int, peers: Iterable[Peer]) -> Iterator[Problem]:
    """One problem for each; one in all where most of at least three differ, for then it is this clock that is wrong."""
    own_offset_s = wall_clock_ms / 1000 - now
    linked = [peer for peer in peers if peer.up]
    wrong = [peer for peer in linked if abs(peer.unix_offset_s - own_offset_s) > TOLERANCE]
    own = in_words(own_offset_s + now)
    if len(wrong) > 2 and 2 * len(wrong) > len(linked):
        other = wrong[0]
        yield Problem(
            "clock_differs",
            "this node",
            f"this node's clock says {own}, {other.certificate.name}'s {in_words(other.unix_offset_s + now)}, and it "
            f"differs from those of {len(wrong)} of {len(linked)} peers: set this one, for example by NTP",
        )
        return
    for peer in wrong:
        difference_s = abs(peer.unix_offset_s - own_offset_s)
        yield Problem(
            "clock_differs",
            peer.certificate.name,
            f"the clocks of {peer.certificate.name} and this node differ by {difference_s:.0f} s: its says "
            f"{in_words(peer.unix_offset_s + now)}, this one's {own}: set the one that is wrong, for example by NTP",
        )
