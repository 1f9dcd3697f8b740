"""Commands about paths: where the datagrams for a node go, and how long they may be. See ``base.commands``."""

from __future__ import annotations

from treecast.base.addresses import Endpoint
from treecast.base.command import DataPlaneCommand
from treecast.base.ids import NodeIndex


class SetPath(DataPlaneCommand, frozen=True):
    """All sessions of the peer send there from now on. Nothing without one."""

    peer: NodeIndex
    socket: int
    endpoint: Endpoint


class RemovePath(DataPlaneCommand, frozen=True):
    """Nothing goes to the peer itself from now on, and no probe: it has a route (SetNodeRoute). Nothing without one."""

    peer: NodeIndex


class ChallengePath(DataPlaneCommand, frozen=True):
    """A value that nobody can guess to an address of PathSeen; PathAnswered when it came back.

    To an address that is not the path go at most three times as many bytes as came from it: the rest is
    ``path_unvalidated``.
    """

    peer: NodeIndex
    socket: int
    endpoint: Endpoint
    value: int
    """The value, below 2^64."""


class ProbePeer(DataPlaneCommand, frozen=True):
    """A probe now, besides those of each turn: on the peer's path, and by its route where it has one."""

    peer: NodeIndex


class SetPeerUnderlayMtu(DataPlaneCommand, frozen=True):
    """The MTU of the peer's underlay, 1280 to 9000 (at first 9000): no frame goes to it in longer packets.

    Those of a tree are held to the smallest of its next hops'. Of a peer without a session nothing is kept.
    """

    peer: NodeIndex
    mtu_bytes: int


PathCommand = SetPath | RemovePath | ChallengePath | ProbePeer | SetPeerUnderlayMtu
