"""Is this a node's directory? Apart from ``storage``, because verbs that only ask a running node need no keys."""

from __future__ import annotations

from pathlib import Path

from treecast.adapters.files import explained
from treecast.base.errors import OperatorError

CERTIFICATE_FILE = "node.cert"


def require_node_directory(directory: Path) -> None:
    """Returns when a node's certificate is in ``directory``; OperatorError otherwise."""
    with explained(f"read {directory}"):
        if not directory.is_dir():
            raise OperatorError(f"there is no directory {directory}: make a node with treecast node add")
        if not (directory / CERTIFICATE_FILE).is_file():
            raise OperatorError(f"{directory} is not a node's directory: make one with treecast node add")
