"""Records of nodes' places on trees, as the messages of ``wire/control.py`` that trace a tree have them.

Format: ``docs/protocol.md`` section 7, Tracing.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.wire.one_line import line

MAX_TRACED_CHILDREN = 64
"""Children that are named of a node: relays of planned trees have 16 at most."""

_U8 = Annotated[int, Meta(ge=0, le=0xFF)]
_U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
_U32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
_U63 = Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
TracedVolume = tuple[_U63, _U63]
"""Datagrams and bytes."""
Children = Annotated[tuple[_U32, ...], Meta(max_length=MAX_TRACED_CHILDREN)]


class GraftState(IntEnum):
    """Whether a node has grafted at its backup. Later versions may have others: then one is a number."""

    NONE = 0
    INSTEAD_OF_PARENT = 1
    """Nothing has come from the parent since."""
    BESIDE_PARENT = 2


class Service(IntEnum):
    """How a root sends to a node. Later versions may have others."""

    NONE = 0
    """The root does not send yet, or no more: nothing is acknowledged."""
    TREE = 1
    COPIES = 2


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A node's place on a tree, as it is installed there. ``parent``, ``backup`` 0: none. ``graft``: a ``GraftState``.

    ``rtt_us``, ``loss_ppm``: of the link with the parent, of probes; None: not measured. ``next_hops`` are as many as
    ``children`` has, or there are more than it may have.
    """

    epoch: _U32
    key_id: _U32
    parent: _U32
    backup: _U32
    graft: _U8
    since_ms: _U63
    rtt_us: _U32 | None
    loss_ppm: _U32 | None
    next_hops: _U16
    children: Children

    def __str__(self) -> str:
        above = f"n{self.parent}" + (f" backup n{self.backup}" if self.backup else "")
        return line(f"PLACE on epoch {self.epoch} key {self.key_id} below {above}: {self.next_hops} next hops")


class TracedNode(msgspec.Struct, frozen=True, array_like=True):
    """A node of a tree, as its root has it from the node itself. ``service``: see ``Service``.

    ``answered`` False: it did not, and no more is known of it. ``rate``: datagrams in 1,000 s, and bits a second, of
    the stream by whichever tree; None: not measured.
    """

    node: _U32
    service: _U8
    answered: bool
    subscribes: bool
    place: Place | None
    rate: TracedVolume | None

    def __str__(self) -> str:
        return line(f"TRACED NODE n{self.node} service {self.service}", str(self.place) if self.place else "no place")


_encoder = msgspec.msgpack.Encoder()


def length_of(node: TracedNode) -> int:
    """The bytes that it takes in a message."""
    return len(_encoder.encode(node))
