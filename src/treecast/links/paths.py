"""Paths: where the datagrams for each node go. A path belongs to the node: all its sessions, old and new, use it.

Decides when a path moves. A datagram, however authentic, moves none: its source may be anybody's address. It has that
address challenged, and who sends the value back has read what was sent there. The data plane bounds how often that is,
and what may go to an address until then (``docs/protocol.md`` section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from treecast.base.commands import Command
from treecast.base.events import PathAnswered, PathSeen
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ChallengePath, SetPath
from treecast.links.link_events import PathMoved
from treecast.links.peers import Path, Peer, Peers

CHALLENGE_BITS = 64


class Paths:
    """The paths of one node to its peers. Methods append to ``commands``."""

    def __init__(self, peers: Peers, commands: list[Command], rng: Random) -> None:
        """``rng``: nobody else may know what it gives."""
        self._peers = peers
        self._rng = rng
        self.commands = commands
        self.may_have_path: Callable[[NodeIndex], bool] = lambda _: True
        """Whether a path to a node without one is wanted."""

    def seen(self, event: PathSeen) -> None:
        """An authentic datagram came from elsewhere: that address is challenged."""
        peer = self._peers.get(event.peer)
        if peer is None or (peer.path is None and not self.may_have_path(event.peer)):
            return
        if peer.session(event.session) is not None:
            value = self._rng.getrandbits(CHALLENGE_BITS)
            self.commands.append(ChallengePath(event.peer, event.socket, event.endpoint, value))

    def answered(self, event: PathAnswered) -> list[PathMoved]:
        """The node is there: its datagrams go there from now on."""
        peer = self._peers.get(event.peer)
        if peer is None or peer.session(event.session) is None:
            return []
        return self.use(peer, Path(event.socket, event.endpoint))

    def use(self, peer: Peer, path: Path) -> list[PathMoved]:
        """The node has shown that it is there."""
        before = peer.path
        if path == before:
            return []
        peer.path = path
        self._peers.session_changes += 1
        self.commands.append(SetPath(peer.node, path.socket, path.endpoint))
        if before is None or not peer.up:
            return []
        return [PathMoved(peer.node, before.endpoint, path.endpoint)]
