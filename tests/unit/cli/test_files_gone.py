"""A node's files are taken away: while it runs its verbs work, and its next start says which file is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.api.serving import serving
from treecast.adapters import storage
from treecast.adapters.clock import unix_s
from treecast.cli.main import app
from treecast.identity.node import NodeRequest


@pytest.mark.parametrize("name", ["node.cert", "node.key", "network.json"])
def test_a_node_that_runs_answers_though_one_of_its_files_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    node = tmp_path / "alice"
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    storage.add_node(tmp_path / "lab", node, NodeRequest("alice", None, None, 30), unix_s())
    (node / name).unlink()
    monkeypatch.setenv("TREECAST_DIR", str(node))
    for words in ([str(node)], []):
        with serving(node):
            status = CliRunner().invoke(app, ["status", *words, "--json"])
        assert json.loads(status.stdout)["node"] == "alice"
        up = CliRunner().invoke(app, ["up", *words])
        assert up.exit_code == 1
        assert up.stderr.startswith(f"treecast: {node / name} is missing: put ")
