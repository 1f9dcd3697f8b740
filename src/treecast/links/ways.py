"""Ways of handshake datagrams: by themselves to an address, or sealed in a session with the node that they are for.

The first session with a node is made by datagrams that anybody may send; each next one in the session before, so that
nobody outside can hinder it. Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import Endpoint
from treecast.base.commands import SendDatagram, SendHandshake
from treecast.base.ids import NodeIndex


@dataclass(frozen=True, slots=True)
class Outside:
    """By themselves, through a socket to an address."""

    socket: int
    endpoint: Endpoint

    @property
    def peer(self) -> None:
        """The node at the other end of a session: there is none."""
        return None

    def send(self, data: bytes) -> SendDatagram:
        """The command that sends a handshake datagram this way."""
        return SendDatagram(self.socket, self.endpoint, data)


@dataclass(frozen=True, slots=True)
class InSession:
    """Sealed in the newest confirmed session with ``peer``, which is at ``endpoint``."""

    peer: NodeIndex
    socket: int
    endpoint: Endpoint

    def send(self, data: bytes) -> SendHandshake:
        """The command that sends a handshake datagram this way."""
        return SendHandshake(self.peer, data)


Way = Outside | InSession
