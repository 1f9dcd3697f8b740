"""The versions of the protocol that this program understands, and its capabilities (docs/protocol.md section 1)."""

from __future__ import annotations

LOWEST, HIGHEST = 2, 2
ML_KEM = 1
"""The capability bit of nodes that make link secrets."""
CAPABILITIES = ML_KEM


def in_common(lowest: int, highest: int) -> int | None:
    """The version that two nodes use: the highest that both understand; None where there is none."""
    common = min(highest, HIGHEST)
    return common if common >= max(lowest, LOWEST) else None
