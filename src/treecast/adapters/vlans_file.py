"""``vlans.json`` in a node's directory: the VLANs of its hosts, for its next start."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters.files import SECRET_MODE, explained, read_file, replace_file
from treecast.base.errors import OperatorError

VLANS_FILE = "vlans.json"
MAX_VLANS_FILE_BYTES = 32_768
"""All 4,094 VLANs have 24 kB."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    vlans: Annotated[list[Annotated[int, Meta(ge=1, le=4095)]], Meta(max_length=4095)]


def load_vlans(directory: Path) -> tuple[int, ...]:
    """The VLANs of an earlier run; none without a file. OperatorError when it is no such file."""
    path = directory / VLANS_FILE
    with explained(f"read {path}"):
        try:
            data = read_file(path, MAX_VLANS_FILE_BYTES)
        except FileNotFoundError:
            return ()
    if len(data) > MAX_VLANS_FILE_BYTES:
        raise OperatorError(f"{path} is longer than {MAX_VLANS_FILE_BYTES} bytes: it is written anew")
    try:
        return tuple(msgspec.json.decode(data, type=_File).vlans)
    except ValueError as error:  # also msgspec.DecodeError, UnicodeDecodeError
        raise OperatorError(f"{path} is damaged: it is written anew") from error


def write_vlans(directory: Path, vlans: Iterable[int]) -> None:
    """OperatorError."""
    path = directory / VLANS_FILE
    with explained(f"write {path}"):
        replace_file(path, msgspec.json.encode(_File(list(vlans))) + b"\n", SECRET_MODE)
