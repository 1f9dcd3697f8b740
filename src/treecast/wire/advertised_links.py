"""LINKS: the links that a node advertises, and how each of them does, in classes.

Classes stand for round trips and losses so that what a node advertises of a link changes seldom. Format:
``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from itertools import zip_longest
from math import ceil, log
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base.errors import MalformedError
from treecast.wire.control import U32
from treecast.wire.one_line import listed

MAX_LINKS_PER_CHUNK = 128
MAX_LINK_CHUNKS = 128
"""All chunks list as many links together as there are origins (16,384)."""

NOT_MEASURED = 0
NOT_KEPT = 0x01
"""A flag: the origin keeps the link only because the other node wants it."""
RTT_STEP = 1.2
LONGEST_RTT_CLASS = 51
"""9.1 s, and all that is longer."""
HIGHEST_LOSS_CLASS = 7
"""More than 64 %."""

ClassBytes = Annotated[bytes, Meta(max_length=MAX_LINKS_PER_CHUNK)]


class LinksContent(msgspec.Struct, frozen=True, array_like=True):
    """One chunk of an origin's links. The others have a byte for each of ``peers``, or none at all.

    ``flags``: NOT_KEPT; what else there is means nothing here.
    """

    peers: Annotated[tuple[U32, ...], Meta(max_length=MAX_LINKS_PER_CHUNK)]
    rtt_classes: ClassBytes = b""
    loss_classes: ClassBytes = b""
    flags: ClassBytes = b""

    def __str__(self) -> str:
        return f"LINKS content {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        return f"to {listed(self.links(), 60, _shown) or 'nobody'}"

    def links(self) -> tuple[tuple[int, int, int], ...]:
        """Each node, with the class of the round trip and of the loss."""
        return tuple(zip_longest(self.peers, self.rtt_classes, self.loss_classes, fillvalue=0))

    def kept(self) -> tuple[tuple[int, bool], ...]:
        """Each node, and whether the origin keeps the link by itself."""
        return tuple((peer, not flags & NOT_KEPT) for peer, flags in zip_longest(self.peers, self.flags, fillvalue=0))


_decoder = msgspec.msgpack.Decoder(LinksContent)


def parse_links(content: bytes) -> LinksContent:
    """The content of LINKS; MalformedError("advertisement_malformed")."""
    try:
        parsed = _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("advertisement_malformed") from error
    if {len(parsed.rtt_classes), len(parsed.loss_classes), len(parsed.flags)} - {0, len(parsed.peers)}:
        raise MalformedError("advertisement_malformed")
    return parsed


def rtt_class(rtt_ms: float) -> int:
    """The class of a round trip: 1 up to 1 ms, and one more with each step of 1.2."""
    return min(1 + ceil(log(max(rtt_ms, 1.0), RTT_STEP) - 1e-9), LONGEST_RTT_CLASS)


def rtt_ms_of(rtt_class: int) -> float:
    """The longest round trip of a class that is measured; of those that are not defined the last one's."""
    return float(RTT_STEP ** (min(max(rtt_class, 1), LONGEST_RTT_CLASS) - 1))


def loss_class(loss: float) -> int:
    """The class of a part that is lost, of 1: 0 up to 1 %, and one more each time that it doubles."""
    return min(max(ceil(log(max(loss, 0.01) / 0.01, 2) - 1e-9), 0), HIGHEST_LOSS_CLASS)


def loss_of(loss_class: int) -> float:
    """The greatest loss of a class, of 1."""
    return float(min(0.01 * 2 ** min(loss_class, HIGHEST_LOSS_CLASS), 1.0))


def _shown(link: tuple[int, int, int]) -> str:
    peer, rtt, loss = link
    round_trip = f" {rtt_ms_of(rtt):.3g} ms" if rtt != NOT_MEASURED else ""
    return f"n{peer}{round_trip}{f' {loss_of(loss):.0%}' if loss else ''}"
