"""Channels of handshakes with a peer that has sessions, and the paths that they show. Decides nothing."""

from __future__ import annotations

from treecast.base.time import Instant
from treecast.links.handshake_channels import HandshakeChannel, InSession, OutOfSession
from treecast.links.peers import Path, Peer
from treecast.links.target import Target


def comes_from_it(peer: Peer, channel: HandshakeChannel) -> bool:
    """Whether a session that a handshake has made in this channel is where its datagrams came from."""
    return isinstance(channel, OutOfSession) or (isinstance(channel, InSession) and peer.via is None)


def in_session(peer: Peer) -> InSession:
    """The channel of a handshake that nobody outside can hinder."""
    return InSession(peer.node, peer.first_hop.socket, peer.first_hop.endpoint)


def first_path(channel: HandshakeChannel) -> Path | None:
    """Where a node is whose first handshake came in this channel."""
    return Path(channel.socket, channel.endpoint) if isinstance(channel, OutOfSession) else None


def again(now: Instant, peer: Peer) -> Target:
    """The peer as a target of one more handshake, where it is now."""
    places = (peer.path.endpoint,) if peer.path is not None and peer.via is None else ()
    return Target(None, peer.node, places, now, peer.certificate.name, now, is_peer=True)
