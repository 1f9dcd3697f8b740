"""Files in the node's directory for its next start: a renewed certificate, or files that it could not start with.

Looks at the files' dates every few seconds, and reads them only when those have changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from treecast.adapters import clock, storage
from treecast.adapters.node_directory import CERTIFICATE_FILE, NODE_KEY_FILE
from treecast.base.errors import OperatorError
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, iso_date
from treecast.identity.certificate import Certificate

LOOK_INTERVAL: Duration = 5.0

_Stamp = tuple[int, int, int] | None
"""Inode, size and date of a file; None: it cannot be looked at."""


class Renewal:
    """``problems`` is a source of ``daemon.problems``. ``own``: the certificate in use."""

    def __init__(self, directory: Path, own: Certificate) -> None:
        self._directory = directory
        self._own = own
        self._files = [directory / name for name in (CERTIFICATE_FILE, NODE_KEY_FILE, storage.NETWORK_FILE)]
        self._next_look = Instant(0.0)
        self._seen: list[_Stamp] = []
        self._judged: list[_Stamp] = []
        self._found: Problem | None = None

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Read the files as a start would: problems where they are not those in use."""
        if now >= self._next_look:
            self._next_look = Instant(now + LOOK_INTERVAL)
            self._look()
        if self._found is not None:
            yield self._found

    def _look(self) -> None:
        """Files that have changed are read when they are the same at the next look: somebody may be copying them."""
        before, self._seen = self._seen, [_stamp(path) for path in self._files]
        if self._seen == before and self._seen != self._judged:
            self._judged = self._seen
            self._found = self._judge()

    def _judge(self) -> Problem | None:
        own, directory = self._own, self._directory
        try:
            found = storage.load_unverified(directory)
            if (found.certificate, found.network.id) == (own, own.network_id):
                return None
            other = storage.load_node(directory, clock.unix_s()).certificate
        except OperatorError as error:
            text = f"node {own.name} could not be started again with what is in {directory} now: {error}"
            return Problem("directory_unusable", own.name, text)
        if other.node_index != own.node_index or other.network_id != own.network_id:
            text = (
                f"{directory} has the files of another node now ({other.name}), not those that {own.name} runs with: "
                f"put the right ones back, or start the node again to become {other.name}"
            )
            return Problem("directory_unusable", own.name, text)
        until, used_until = iso_date(other.not_after_s), iso_date(own.not_after_s)
        text = (
            f"a renewed certificate of {own.name}, valid until {until}, is in {directory}, and the one in use ends at "
            f"{used_until}: start the node again to use the new one"
        )
        return Problem("certificate_waits", own.name, text)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)
