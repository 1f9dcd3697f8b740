"""The model of ``withheld.rs``: a node finds whether its parent on a tree withholds datagrams that its backup has.

Read ``docs/protocol.md`` section 6, Repair, first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from treecast.base.time import Duration, Instant

LATER: Duration = 0.3
LOOKS = 3
LOOKS_OF_LEAF = 5
MARKS = 8
MISSING = 2
ONE_IN = 4


@dataclass(slots=True)
class Withheld:
    """How far the backup was and when, and what was found missing then."""

    marks: deque[tuple[int, Instant]] = field(default_factory=deque)
    looked: int = 0
    missing: int = 0
    since: int = 0

    def mark(self, counter: int, now: Instant) -> None:
        self.looked = self.looked or counter
        last = self.marks[-1][0] if self.marks else self.looked
        if counter > last and len(self.marks) < MARKS:
            self.marks.append((counter, now))

    def look(self, now: Instant, looks: int, has: Callable[[int], bool]) -> int | None:
        """The counter since which too much is missing, when so many looks in a row found that."""
        found = None
        while self.marks and now - self.marks[0][1] >= LATER:
            counter, _ = self.marks.popleft()
            wanted = range(self.looked + 1, counter + 1)
            missing = sum(not has(one) for one in wanted)
            if missing >= MISSING and missing * ONE_IN >= len(wanted):
                self.since = self.since if self.missing else self.looked
                self.missing += 1
            else:
                self.missing = 0
            self.looked = counter
            if self.missing >= looks:
                self.missing, found = 0, self.since
        return found
