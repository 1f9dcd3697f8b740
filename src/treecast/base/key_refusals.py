"""Why a member does not take a sender key (``docs/protocol.md`` section 7)."""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType


class KeyRefusalReason(IntEnum):
    """Later versions may have others: then a reason is a number."""

    NOT_WANTED = 1
    MALFORMED = 2
    SENDER_NOT_PERMITTED = 3
    AUTHENTICATED_GROUP = 4
    TABLE_FULL = 5


BY_DROP = MappingProxyType(
    {
        "key_not_wanted": KeyRefusalReason.NOT_WANTED,
        "key_context_malformed": KeyRefusalReason.MALFORMED,
        "sender_not_permitted": KeyRefusalReason.SENDER_NOT_PERMITTED,
        "key_of_authenticated_group": KeyRefusalReason.AUTHENTICATED_GROUP,
        "downstream_tree_table_full": KeyRefusalReason.TABLE_FULL,
    }
)
"""The reason under which the member counts it."""

_SENTENCES = MappingProxyType(
    {
        KeyRefusalReason.NOT_WANTED: "no program there wants it any more",
        KeyRefusalReason.MALFORMED: "it cannot read what the key is for, which another release of Treecast may",
        KeyRefusalReason.SENDER_NOT_PERMITTED: "by the certificate of ours that it knows, this node may not send there",
        KeyRefusalReason.AUTHENTICATED_GROUP: "it has the group as --authenticated and this node has not",
        KeyRefusalReason.TABLE_FULL: "its table of other nodes' trees is full",
    }
)


def explain(reason: int) -> str:
    """Half a sentence for people."""
    try:
        return _SENTENCES[KeyRefusalReason(reason)]
    except ValueError:
        return f"reason {reason}, which a later release of Treecast knows"
