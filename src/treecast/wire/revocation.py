"""REVOCATION: the CA's word that a node's certificates up to a serial are void. Format: ``docs/protocol.md`` section 7.

An advertisement of origin 0, which is the CA. Bytes <-> typed records; who signs it is ``identity.revocation``'s.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base.ids import NodeIndex
from treecast.wire.control import U63
from treecast.wire.one_line import quoted

CA_ORIGIN = NodeIndex(0)
"""The CA among origins; nodes have indices from 1."""
CA_SIGNING_CONTEXT = b"treecast CA advertisement 1"
CA_EPOCH = 0


class RevocationContent(msgspec.Struct, frozen=True, array_like=True):
    """The certificates of a node with this serial or a lower one are void. ``name``: the node's, for people."""

    serial: U63
    name: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,63}\Z", max_length=63)]

    def __str__(self) -> str:
        return f"REVOCATION content {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        return f"{quoted(self.name)} up to serial {self.serial}"


def revocation_key(node: NodeIndex) -> bytes:
    return node.to_bytes(4, "big")


def parse_revocation_key(key: bytes) -> NodeIndex:
    """A key of four bytes, by ``advertisement.is_key_of``."""
    return NodeIndex(int.from_bytes(key, "big"))


def is_revocation_key(key: bytes) -> bool:
    """Whether it names a node."""
    return len(key) == 4 and key != bytes(4)
