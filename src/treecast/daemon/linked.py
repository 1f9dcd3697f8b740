"""The nodes that are linked, as the daemon follows them: where they are, and a line in the log for each change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.time import Duration, Instant
from treecast.daemon.log_lines import Log
from treecast.engine.changes import LinkChange, PathMove
from treecast.engine.view import View
from treecast.links.link_events import LinkEnd

MOVE_PAUSE: Duration = 60.0
"""The time from one line about a node's moves to the next: a member with two addresses can move once a second."""


@dataclass(slots=True)
class MoveLines:
    """Lines about the moves of one node: when the last one was written, and how many moves were since."""

    written_at: Instant
    since: int = 0


class Linked:
    """Follows one engine's links; reads the changes, and all links only when sessions have changed."""

    def __init__(self, view: View, log: Log) -> None:
        self._view = view
        self._log = log
        self._position = view.position
        self._moves: dict[str, MoveLines] = {}
        """Moved nodes by their names."""
        self._session_changes = -1
        self._addresses: frozenset[IPAddress] = frozenset()

    def log_changes(self, now: Instant) -> bool:
        """Whether links came up, ended or moved since the last call: a line for each, a minute for moves."""
        if self._view.position == self._position:
            return False
        changes = self._view.changes(self._position, (LinkChange, PathMove))
        self._position = self._view.position
        if changes is None:
            self._log.warning("more links came up or ended at once than are remembered: see peers")
            return True
        for change in changes:
            match change:
                case LinkChange():
                    self._moves.pop(change.name, None)
                    self._log.info("link up" if change.up else self._ended(change), peer=change.name)
                case PathMove():
                    self._log_move(now, change)
        return bool(changes)

    def _ended(self, change: LinkChange) -> str:
        if change.reason is not LinkEnd.CERTIFICATE_REVOKED:
            return "link down"
        whose = "this node's" if self._view.is_revoked(self._view.me) else "its"
        return f"link down: {whose} certificate was revoked"

    def _log_move(self, now: Instant, move: PathMove) -> None:
        moves = self._moves.get(move.name)
        if moves is not None and now - moves.written_at < MOVE_PAUSE:
            moves.since += 1
            return
        others = {"moves_since_the_last_line": moves.since} if moves is not None and moves.since else {}
        self._moves[move.name] = MoveLines(now)
        self._log.info("path moved", peer=move.name, before=str(move.before), now=str(move.now), **others)

    def addresses(self) -> frozenset[IPAddress]:
        """Where datagrams to linked nodes go; the same object while they are the same."""
        if self._view.session_changes != self._session_changes:
            self._session_changes = self._view.session_changes
            addresses = frozenset(link.endpoint.address for link in self._view.links())
            if addresses != self._addresses:
                self._addresses = addresses
        return self._addresses

    def names(self) -> Mapping[IPAddress, str]:
        """The linked nodes at each address: of several behind one NAT all names. Reads all links."""
        found: dict[IPAddress, str] = {}
        for link in self._view.links():
            address = link.endpoint.address
            found[address] = f"{found[address]}, {link.name}" if address in found else link.name
        return found
