"""Learned: news of another node, on its way from Broadcast to the rooms that act on it."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate
from treecast.wire.advertised_groups import GroupsContent
from treecast.wire.advertisement import Content


@dataclass(frozen=True, slots=True)
class Learned:
    """News of another node. ``content`` is None when the key was withdrawn or has expired.

    ``certificate``: with NODE; ``before``: with GROUPS, what the key's content was. ``has_run_ended``: so all that the
    origin had advertised ends at once, whatever that is.
    """

    origin: NodeIndex
    kind: int
    key: bytes
    content: Content | None
    certificate: Certificate | None = None
    before: GroupsContent | None = None
    has_run_ended: bool = False
