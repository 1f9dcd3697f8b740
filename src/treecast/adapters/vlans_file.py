"""``vlans.json`` in a node's directory: the VLANs of its hosts, for its next start."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters.files import load_remembered, write_remembered

VLANS_FILE = "vlans.json"
MAX_VLANS_FILE_BYTES = 32_768
"""All 4,094 VLANs have 24 kB."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    vlans: Annotated[list[Annotated[int, Meta(ge=1, le=4095)]], Meta(max_length=4095)]


def load_vlans(directory: Path) -> tuple[int, ...]:
    """The VLANs of an earlier run; none without a file. OperatorError when it is no such file."""
    remembered = load_remembered(directory / VLANS_FILE, MAX_VLANS_FILE_BYTES, _File)
    return tuple(remembered.vlans) if remembered else ()


def write_vlans(directory: Path, vlans: Iterable[int]) -> None:
    """OperatorError."""
    write_remembered(directory / VLANS_FILE, _File(list(vlans)))
