"""The versions of the protocol that this program understands (docs/protocol.md section 1)."""

from __future__ import annotations

LOWEST, HIGHEST = 2, 2


def in_common(lowest: int, highest: int) -> int | None:
    """The version that two nodes use: the highest that both understand; None where there is none."""
    common = min(highest, HIGHEST)
    return common if common >= max(lowest, LOWEST) else None
