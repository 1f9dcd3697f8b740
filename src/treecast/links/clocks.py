"""Wall clocks of linked nodes that differ from this one's: certificates are judged by them, and logs compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.links.calendar import in_words
from treecast.links.peers import Peer

TOLERANCE: Duration = 30.0
"""A handshake's clock is up to ten seconds old when it is read."""
ALIKE: Duration = 10.0
"""Clocks that differ from this one by the same but for so much agree with each other."""


def clock_doubt(now: Instant, wall_clock_ms: int, peers: Iterable[Peer]) -> str:
    """A linked node whose clock differs, and what both show; empty where none does."""
    own_offset_s = wall_clock_ms / 1000 - now
    for peer in peers:
        if peer.up and abs(peer.unix_offset_s - own_offset_s) > TOLERANCE:
            theirs, own = in_words(peer.unix_offset_s + now), in_words(own_offset_s + now)
            return f"the clock of {peer.certificate.name} says {theirs} and this node's {own}"
    return ""


def differing(now: Instant, wall_clock_ms: int, peers: Iterable[Peer]) -> Iterator[Problem]:
    """One problem for each; one in all where most of at least three, or both of two, agree with each other: this clock
    is wrong then.
    """
    own_offset_s = wall_clock_ms / 1000 - now
    own = in_words(own_offset_s + now)
    linked = [peer for peer in peers if peer.up]
    wrong = [peer for peer in linked if abs(peer.unix_offset_s - own_offset_s) > TOLERANCE]
    alike = _alike(wrong)
    if len(alike) > 1 and (len(alike) == len(linked) or (len(alike) > 2 and 2 * len(alike) > len(linked))):
        other = alike[0]
        whose = f"all {len(linked)}" if len(alike) == len(linked) else f"{len(alike)} of {len(linked)}"
        yield Problem(
            "clock_differs",
            "this node",
            f"this machine's clock seems to be off: it says {own}, {other.certificate.name}'s "
            f"{in_words(other.unix_offset_s + now)}, and the clocks of {whose} linked nodes differ from it by about "
            f"the same, {abs(other.unix_offset_s - own_offset_s):.0f} s: set this one, for example by NTP",
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


def _alike(peers: list[Peer]) -> list[Peer]:
    """The peers whose clocks agree with the one in the middle."""
    if not peers:
        return []
    middle_s = sorted(peer.unix_offset_s for peer in peers)[len(peers) // 2]
    return [peer for peer in peers if abs(peer.unix_offset_s - middle_s) <= ALIKE]
