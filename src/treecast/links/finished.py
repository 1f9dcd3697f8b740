"""A handshake that has come to its end. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.identity.certificate import Certificate
from treecast.links.crypto import Handshake, LinkSecret
from treecast.links.handshake_channels import HandshakeChannel, HandshakeCommand
from treecast.links.states import SessionState
from treecast.wire.handshake import HandshakePayload


@dataclass(frozen=True, slots=True)
class Finished:
    """A handshake whose other side is a member of the network. ``final``: what sends the initiator's FINAL, else None;
    ``own_offset_s``: this node's wall clock minus its monotonic one, as it was stated; ``named``: the link secret that
    this node has named in it; ``hybrid``: the other side has named it, too, and the session's keys are made of it.
    """

    state: SessionState
    handshake: Handshake
    payload: HandshakePayload
    certificate: Certificate
    channel: HandshakeChannel
    final: HandshakeCommand | None
    own_offset_s: float
    named: LinkSecret | None
    hybrid: bool
