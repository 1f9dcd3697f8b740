"""Ways of handshakes to a peer that has sessions, and the paths that they show. Decides nothing."""

from __future__ import annotations

from treecast.base.time import Instant
from treecast.links.peers import Path, Peer
from treecast.links.target import Target
from treecast.links.ways import InSession, Outside, Way


def comes_from_it(peer: Peer, way: Way) -> bool:
    """Whether a session that a handshake has made this way is where its datagrams came from."""
    return isinstance(way, Outside) or (isinstance(way, InSession) and peer.via is None)


def in_session(peer: Peer) -> InSession:
    """The way of a handshake that nobody outside can hinder."""
    return InSession(peer.node, peer.place.socket, peer.place.endpoint)


def first_path(way: Way) -> Path | None:
    """Where a node is whose first handshake took this way."""
    return Path(way.socket, way.endpoint) if isinstance(way, Outside) else None


def again(now: Instant, peer: Peer) -> Target:
    """The peer as a target of one more handshake, where it is now."""
    places = (peer.path.endpoint,) if peer.path is not None and peer.via is None else ()
    return Target(None, peer.node, places, now, peer.certificate.name, now, is_peer=True)
