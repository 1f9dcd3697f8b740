"""A network on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from treecast.adapters import storage


@pytest.fixture
def network(tmp_path: Path) -> Path:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    return tmp_path / "lab"
