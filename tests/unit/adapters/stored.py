"""Networks and nodes on disk, for tests."""

from __future__ import annotations

from pathlib import Path

from treecast.adapters import storage
from treecast.identity.node import NodeRequest

NOW_S = 1_750_000_000.0
ALICE = NodeRequest("alice", None, None, 30)
BOB = NodeRequest("bob", None, None, 30)


def tree(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every path under ``directory`` with its mode and content; the lock file is no content."""
    return {
        str(path.relative_to(directory)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(directory.rglob("*"))
        if path.name != storage.NETWORK_LOCK_FILE
    }
