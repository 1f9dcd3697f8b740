"""Control messages between nodes: MessagePack bytes <-> typed records.

Decides what a well-formed message is; which node may send it is decided by the rooms that receive it.
Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, get_args

import msgspec
from msgspec import Meta

from treecast.base.errors import MalformedError
from treecast.wire.one_line import hexadecimal, line, listed
from treecast.wire.traced_trees import Place, TracedNode, TracedVolume

CONTROL_MALFORMED = "control_malformed"
MAX_CONTROL_BYTES = 1196
"""Fits the smallest underlay (docs/protocol.md section 8)."""
MAX_ADVERTISEMENT_BYTES = 1176
MAX_ADVERTISEMENTS_PER_FLOOD = 64
MAX_ITEMS_PER_ACKNOWLEDGE = 64
MAX_ORIGINS_PER_DIGEST = 40
MAX_RANGES = 16
MAX_TRACED_PLACES = 2
"""The trees of a stream's two highest epochs are kept."""
MAX_NODES_PER_TRACE = 64
FINGERPRINT_BYTES = 8
"""The length of the fingerprint of a range of origins, and of the hash of one."""

U8 = Annotated[int, Meta(ge=0, le=0xFF)]
U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
U63 = Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
Half = Annotated[int, Meta(ge=0, le=1)]
"""ML-KEM-768's keys and ciphertexts go in two messages: with one, a neighbour could not forward them."""
GroupBytes = Annotated[bytes, Meta(min_length=4, max_length=16)]
SourceBytes = Annotated[bytes, Meta(max_length=16)]
Fingerprint = Annotated[bytes, Meta(min_length=FINGERPRINT_BYTES, max_length=FINGERPRINT_BYTES)]


class _Message(msgspec.Struct, frozen=True, array_like=True):
    pass


class Flood(_Message, tag=1, frozen=True):
    """Advertisements, each as its origin signed it."""

    advertisements: Annotated[
        tuple[Annotated[bytes, Meta(max_length=MAX_ADVERTISEMENT_BYTES)], ...],
        Meta(max_length=MAX_ADVERTISEMENTS_PER_FLOOD),
    ]

    def __str__(self) -> str:
        return f"FLOOD of {len(self.advertisements)} advertisements, {sum(map(len, self.advertisements)):,} bytes"


class Acknowledge(_Message, tag=2, frozen=True):
    """The advertisements taken, each as (origin, epoch, sequence)."""

    items: Annotated[tuple[tuple[U32, U63, U63], ...], Meta(max_length=MAX_ITEMS_PER_ACKNOWLEDGE)]

    def __str__(self) -> str:
        return line("ACKNOWLEDGE", listed([version(*item) for item in self.items]) or "nothing")


class Digest(_Message, tag=3, frozen=True):
    """All that the sender holds of the origins ``first``..``last``: (origin, epoch, hash).

    ``expects_reply``: the receiver answers with what it lacks, beside flooding what the sender does.
    """

    first: U32
    last: U32
    origins: Annotated[tuple[tuple[U32, U63, Fingerprint], ...], Meta(max_length=MAX_ORIGINS_PER_DIGEST)]
    expects_reply: bool = False

    def __str__(self) -> str:
        held = [f"n{origin} epoch {epoch} hash {hexadecimal(digest)}" for origin, epoch, digest in self.origins]
        reply = ", expects a reply" if self.expects_reply else ""
        return line(f"DIGEST of n{self.first} to n{self.last}{reply}:", listed(held) or "nothing")


class KeyAcknowledgement(_Message, tag=4, frozen=True):
    """The sender holds this sender key of the receiver's stream."""

    stream: U32
    key_id: U32

    def __str__(self) -> str:
        return f"KEY ACKNOWLEDGEMENT of stream {self.stream} key {self.key_id}"


class Goodbye(_Message, tag=5, frozen=True):
    """The sender goes down: forget the link."""

    def __str__(self) -> str:
        return "GOODBYE"


class EncapsulationKey(_Message, tag=6, frozen=True):
    """One half of the sender's ML-KEM-768 encapsulation key, in an exchange that it has begun."""

    exchange: U32
    half: Half
    data: Annotated[bytes, Meta(min_length=592, max_length=592)]

    def __str__(self) -> str:
        return f"ENCAPSULATION KEY half {self.half} of exchange {self.exchange}"


class Ciphertext(_Message, tag=7, frozen=True):
    """One half of the ciphertext for the receiver's encapsulation key."""

    exchange: U32
    half: Half
    data: Annotated[bytes, Meta(min_length=544, max_length=544)]

    def __str__(self) -> str:
        return f"CIPHERTEXT half {self.half} of exchange {self.exchange}"


class Ranges(_Message, tag=8, frozen=True):
    """Fingerprints of what the sender holds from ``first`` on, each of a sub-range: (its last origin, fingerprint)."""

    first: U32
    ranges: Annotated[tuple[tuple[U32, Fingerprint], ...], Meta(min_length=1, max_length=MAX_RANGES)]

    @property
    def is_ordered(self) -> bool:
        """Whether the sub-ranges follow each other, none of them empty."""
        lasts = [last for last, _ in self.ranges]
        return self.first <= lasts[0] and all(earlier < later for earlier, later in pairwise(lasts))

    def __str__(self) -> str:
        ends = [f"to n{last} {hexadecimal(fingerprint)}" for last, fingerprint in self.ranges]
        return line(f"RANGES from n{self.first}:", listed(ends))


class TreeAcknowledgement(_Message, tag=9, frozen=True):
    """The sender has taken its place on the tree of this epoch of the receiver's stream."""

    stream: U32
    epoch: U32

    def __str__(self) -> str:
        return f"TREE ACKNOWLEDGEMENT of stream {self.stream} epoch {self.epoch}"


class KeyRefusal(_Message, tag=10, frozen=True):
    """The sender does not take this sender key of the receiver's stream. ``reason``: see ``base.key_refusals``."""

    stream: U32
    key_id: U32
    reason: U16

    def __str__(self) -> str:
        return f"KEY REFUSAL of stream {self.stream} key {self.key_id} reason {self.reason}"


class TreeRefusal(_Message, tag=11, frozen=True):
    """The sender takes no place on the tree of this epoch with more children than so many."""

    stream: U32
    epoch: U32
    most_children: U16

    def __str__(self) -> str:
        return f"TREE REFUSAL of stream {self.stream} epoch {self.epoch}, {self.most_children} children at most"


class ParentLost(_Message, tag=12, frozen=True):
    """The sender does without its parent on the tree of this epoch. ``reason``: see ``base.parent_failures``."""

    stream: U32
    epoch: U32
    parent: U32
    reason: U16

    def __str__(self) -> str:
        return f"PARENT LOST on stream {self.stream} epoch {self.epoch}: n{self.parent} reason {self.reason}"


class TreeQuery(_Message, tag=13, frozen=True):
    """The sender, a root, wants to know where the receiver is on this stream's trees."""

    query: U32
    stream: U32

    def __str__(self) -> str:
        return f"TREE QUERY {self.query} of stream {self.stream}"


class TreeReport(_Message, tag=14, frozen=True):
    """The answer. ``time_us``: by the sender's own clock. ``received``: of the stream; None: nothing of it is
    installed there. ``places``: the lower epoch first.
    """

    query: U32
    stream: U32
    time_us: U63
    subscribes: bool
    received: TracedVolume | None
    places: Annotated[tuple[Place, ...], Meta(max_length=MAX_TRACED_PLACES)]

    def __str__(self) -> str:
        epochs = listed([str(place.epoch) for place in self.places])
        return line(f"TREE REPORT {self.query} of stream {self.stream} epochs", epochs or "none")


class TraceRequest(_Message, tag=15, frozen=True):
    """The sender wants the receiver to trace its trees of a group that the sender is on; ``source`` empty: of any."""

    query: U32
    group: GroupBytes
    source: SourceBytes

    def __str__(self) -> str:
        return f"TRACE REQUEST {self.query} of group {hexadecimal(self.group)}"


class TracedTree(_Message, tag=16, frozen=True):
    """A part of the answer: some nodes of one tree. Part 0 of 0: the receiver is on no such tree that was traced.

    ``source`` empty: any; ``prefix_length``: the tree is of all groups of the prefix that begins with ``group``.
    ``sent``: by the root, as ``rate`` of a node. ``left_out``: nodes that were not queried, as there are so many;
    ``trees_left_out``: trees that the receiver is on, and that were not traced.
    ``mode``: a ``base.tree_modes.TreeMode``.
    """

    query: U32
    part: U16
    parts: U16
    vlan: U16
    group: GroupBytes
    prefix_length: U8 | None
    source: SourceBytes
    stream: U32
    epoch: U32
    key_id: U32
    since_ms: U63
    sent: TracedVolume | None
    left_out: U32
    nodes: Annotated[tuple[TracedNode, ...], Meta(max_length=MAX_NODES_PER_TRACE)]
    trees_left_out: U32 = 0
    mode: U8 = 0

    def __str__(self) -> str:
        return f"TRACED TREE {self.query} part {self.part} of {self.parts}: {len(self.nodes)} nodes"


class StreamEnd(_Message, tag=17, frozen=True):
    """The sender's stream has ended: who holds keys of it takes nothing under them any more."""

    stream: U32

    def __str__(self) -> str:
        return f"STREAM END of stream {self.stream}"


ControlMessage = (
    Flood
    | Acknowledge
    | Digest
    | KeyAcknowledgement
    | Goodbye
    | EncapsulationKey
    | Ciphertext
    | Ranges
    | TreeAcknowledgement
    | KeyRefusal
    | TreeRefusal
    | ParentLost
    | TreeQuery
    | TreeReport
    | TraceRequest
    | TracedTree
    | StreamEnd
)
_TAGS = frozenset(kind.__struct_config__.tag for kind in get_args(ControlMessage))

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[ControlMessage] = msgspec.msgpack.Decoder(ControlMessage)


def version(origin: int, epoch: int, sequence: int) -> str:
    """Which advertisement of an origin's: ``n7 epoch 3 seq 12``."""
    return f"n{origin} epoch {epoch} seq {sequence}"


def emit_control(message: ControlMessage) -> bytes:
    """A message's bytes."""
    return _encoder.encode(message)


def parse_control(data: bytes) -> ControlMessage:
    """Bytes to a message; MalformedError: "control_unknown" for one of a later version, else "control_malformed"."""
    if len(data) > MAX_CONTROL_BYTES:
        raise MalformedError(CONTROL_MALFORMED)
    try:
        message = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if _has_unknown_tag(data):
            raise MalformedError("control_unknown") from error
        raise MalformedError(CONTROL_MALFORMED) from error
    if isinstance(message, Ranges) and not message.is_ordered:
        raise MalformedError(CONTROL_MALFORMED)
    if isinstance(message, TraceRequest | TracedTree) and not _are_addresses(message.group, message.source):
        raise MalformedError(CONTROL_MALFORMED)
    return message


def _are_addresses(group: bytes, source: bytes) -> bool:
    """Whether these are two of one family, or no source."""
    return len(group) in (4, 16) and len(source) in (0, len(group))


def _has_unknown_tag(data: bytes) -> bool:
    """Whether it is a message as all are, with a tag of a later version."""
    try:
        fields = msgspec.msgpack.decode(data, type=list[msgspec.Raw])
        return bool(fields) and msgspec.msgpack.decode(fields[0], type=U8) not in _TAGS
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
