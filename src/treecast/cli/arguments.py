"""Arguments that many verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

LogLevel = Literal["debug", "info", "warning", "error"]

NodeDirectory = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR", help="The node's directory.", show_default="$TREECAST_DIR, or in /etc/treecast", readable=False
    ),
]


def resolved(directory: Path | None) -> Path:
    """The directory that is meant: the one given, or the one that is found."""
    from treecast.adapters.node_directory import node_directory

    return node_directory(directory)
