"""``vlans.json`` in a node's directory: the VLANs of its hosts, for its next start."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters.remembered_file import Entries, load_remembered, raw, write_remembered

VLANS_FILE = "vlans.json"
MAX_VLANS_FILE_BYTES = 32_768
"""All 4,094 VLANs have 24 kB."""


_VLAN = msgspec.json.Decoder(Annotated[int, Meta(ge=1, le=4095)])


class _VlansFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    vlans: Annotated[list[msgspec.Raw], Meta(max_length=4095)]


def load_vlans(directory: Path) -> tuple[int, ...]:
    """The VLANs of an earlier run; none without a file. OperatorError, DamagedError among them."""

    def values(file: _VlansFile, entries: Entries) -> tuple[int, ...]:
        return tuple(entries.sound(file.vlans, _VLAN))

    write = partial(write_vlans, directory)
    return load_remembered(directory / VLANS_FILE, MAX_VLANS_FILE_BYTES, _VlansFile, values, write)


def write_vlans(directory: Path, vlans: Iterable[int]) -> None:
    """OperatorError."""
    write_remembered(directory / VLANS_FILE, _VlansFile([raw(vlan) for vlan in vlans]))
