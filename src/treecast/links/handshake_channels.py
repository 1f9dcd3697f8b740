"""Channels of handshake datagrams: UDP to an address, a session with the node, or a neighbour that forwards them.

The first session with a node is made by datagrams that anybody may send, or that a neighbour sends on to a node which
cannot be reached; each next one in the session before, so that nobody outside can hinder it. Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import Endpoint
from treecast.base.commands import SendDatagram, SendForwarded, SendHandshake
from treecast.base.ids import NodeIndex


@dataclass(frozen=True, slots=True)
class OutOfSession:
    """Datagrams go in no session, through a socket to an address."""

    socket: int
    endpoint: Endpoint

    @property
    def peer(self) -> None:
        """The node at the other end of a session: there is none."""
        return None

    @property
    def expected(self) -> None:
        """The node that must be there: whoever is."""
        return None

    def send(self, data: bytes) -> SendDatagram:
        """The command that sends a handshake datagram in this channel."""
        return SendDatagram(self.socket, self.endpoint, data)


@dataclass(frozen=True, slots=True)
class InSession:
    """Sealed in the newest confirmed session with ``peer``, which is at ``endpoint``."""

    peer: NodeIndex
    socket: int
    endpoint: Endpoint

    @property
    def expected(self) -> NodeIndex:
        """The node that must be there."""
        return self.peer

    def send(self, data: bytes) -> SendHandshake:
        """The command that sends a handshake datagram in this channel."""
        return SendHandshake(self.peer, data)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Sealed in the session with a neighbour, which is at ``endpoint``, and sends them on to ``node``."""

    node: NodeIndex
    neighbour: NodeIndex
    socket: int
    endpoint: Endpoint

    @property
    def peer(self) -> None:
        """The node at the other end of a session: there is none with ``node``."""
        return None

    @property
    def expected(self) -> NodeIndex:
        """The node that must be there."""
        return self.node

    def send(self, data: bytes) -> SendForwarded:
        """The command that sends a handshake datagram in this channel."""
        return SendForwarded(self.neighbour, self.node, data)


HandshakeChannel = OutOfSession | InSession | Forwarded
HandshakeCommand = SendDatagram | SendHandshake | SendForwarded
"""Sends a handshake datagram."""
