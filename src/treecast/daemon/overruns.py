"""Overruns of late, as problems: full queues lose frames, full tables refuse entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from treecast.base.limits import MAX_OVERRUN_REASONS
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant

PRESENT_FOR: Duration = 60.0
"""The problem goes on for so long after the last drop."""

FEWEST = 10
"""Drops in one go of these that are no problem: a queue may fill for a moment."""


_TOO_FAST = "send less, or give the node more cores (up --workers)"
_QUEUES = {
    "tap_overrun": "frames from this machine's programs, or from its LAN, found the interface's queue full: "
    + _TOO_FAST,
    "tap_full": "frames for this machine's programs, or for its LAN, found the interface's queue full: send less",
    "socket_overrun": "datagrams of other nodes found this node's receive buffer full: " + _TOO_FAST,
    "socket_full": "datagrams to other nodes found the send buffer full, the way to them is slower than what is sent: "
    "send less, or by a faster way",
    "packet_overrun": "frames of a packet port's LAN found its socket full: " + _TOO_FAST,
    "packet_full": "frames for a packet port's LAN found its interface's queue full, it is slower than what is sent to "
    "it: send less",
}
_PUNTS = (
    "messages of hosts or nodes found no room to wait for this node's decisions: a machine on a LAN, or a peer, sends "
    "far too many, or this machine is too slow: docs/drops.md says which messages"
)
_TABLES = "entries found their table full and were refused: docs/drops.md says what that costs and which limit it is"


@dataclass(slots=True)
class _Episode:
    """Drops of one reason without a minute's pause."""

    before: int
    last: int
    rose_at: Instant


class Overruns:
    """``drops`` gives the totals by reason, ``most`` the end of a text: whose the most of one are, or nothing."""

    def __init__(self, drops: Callable[[], Mapping[str, int]], most: Callable[[str], str]) -> None:
        self._drops = drops
        self._most = most
        self._episodes: dict[str, _Episode] = {}
        self._totals: Counter[str] = Counter()

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Called about once a second."""
        for reason, total in self._drops().items():
            if _is_of_a_full_table(reason):
                self._follow(now, reason, total)
        for reason in [r for r, episode in self._episodes.items() if now - episode.rose_at >= PRESENT_FOR]:
            del self._episodes[reason]
        for reason, episode in sorted(self._episodes.items()):
            count = episode.last - episode.before
            if count >= FEWEST:
                text = f"{count} {_sentence(reason)} ({reason}){self._most(reason)}"
                yield Problem("no_room", reason, text)

    def _follow(self, now: Instant, reason: str, total: int) -> None:
        before, self._totals[reason] = self._totals[reason], total
        if total <= before:
            return
        episode = self._episodes.get(reason)
        if episode is not None:
            episode.last, episode.rose_at = total, now
        elif len(self._episodes) < MAX_OVERRUN_REASONS:
            self._episodes[reason] = _Episode(before, total, now)


def _is_of_a_full_table(reason: str) -> bool:
    return reason.endswith(("_overrun", "_full"))


def _sentence(reason: str) -> str:
    if reason.startswith("punt_"):
        return _PUNTS
    return _QUEUES.get(reason, _TABLES)
