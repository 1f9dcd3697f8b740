"""The form of a command to the data plane."""

from __future__ import annotations

from msgspec import Struct


class DataPlaneCommand(Struct, frozen=True, array_like=True, tag=True):
    """The tag is the class's name."""
