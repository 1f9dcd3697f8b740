"""Why a node does without its parent on a tree (``docs/protocol.md`` section 6, Repair)."""

from __future__ import annotations

from enum import IntEnum


class ParentFailure(IntEnum):
    """Later versions may have others: then one is a number."""

    SILENT = 1
    """The parent sends nothing at all."""
    WITHHOLDS = 2
    """The parent sends on less than the backup has."""
    SENDS_NOTHING = 3
    """The parent has sent nothing yet: the root knows whether it was to."""
    RETURNED = 4
    """No failure any longer: it was silent for a moment, and sends on again."""
