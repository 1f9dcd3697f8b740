"""``node revoke`` and ``revocation apply``: a node's certificates are taken back, for good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from treecast.adapters import storage
from treecast.adapters.revocations_file import REVOCATIONS_FILE, load_ca_records
from treecast.cli.main import app


@pytest.fixture(autouse=True)
def _a_network_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _ok("network", "create", "lab")
    for name in ("alice", "bob"):
        _ok("node", "add", name, "--network", "lab")


def _ok(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def _sentence(*arguments: str) -> str:
    """The one sentence of a verb that fails."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("treecast: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def _kept(directory: str) -> int:
    return len(load_ca_records(Path(directory), storage.load_network(Path(directory))))


def test_a_revocation_is_a_file_that_a_node_keeps_and_that_everybody_shows() -> None:
    said = _ok("node", "revoke", "bob", "--network", "lab")
    assert "node bob (index 2): its certificates up to serial 2 are revoked" in said
    assert "treecast revocation apply bob.revocation DIR" in said
    assert "from its next start on" in _ok("revocation", "apply", "bob.revocation", "alice")
    assert _kept("alice") == 1
    _ok("revocation", "apply", "bob.revocation", "alice")
    assert _kept("alice") == 1
    for directory in ("lab", "alice"):
        assert json.loads(_ok("network", "show", directory, "--json"))["revoked"] == ["bob"]
        assert "revoked" in _ok("network", "show", directory)
    assert json.loads(_ok("network", "show", "bob", "--json"))["revoked"] == []
    assert "revoked" not in _ok("network", "show", "bob")
    assert [node["revoked"] for node in json.loads(_ok("node", "list", "lab", "--json"))] == [False, True]
    assert "(revoked)" in _ok("node", "list", "lab")


def test_revoking_once_more_makes_the_same_file_and_spoils_no_other() -> None:
    _ok("node", "revoke", "bob", "--network", "lab", "--out", "one")
    before = Path("one").read_bytes()
    _ok("node", "revoke", "bob", "--network", "lab", "--out", "one")
    assert Path("one").read_bytes() == before
    Path("two").write_text("mine")
    assert "choose another --out" in _sentence("node", "revoke", "bob", "--network", "lab", "--out", "two")
    assert Path("two").read_text() == "mine"
    assert "has no node carol" in _sentence("node", "revoke", "carol", "--network", "lab")


def test_keys_that_were_revoked_get_no_certificate_any_more_and_new_ones_do() -> None:
    _ok("node", "revoke", "bob", "--network", "lab")
    assert "treecast node add bob --replace" in _sentence("node", "renew", "bob", "--network", "lab")
    again = ("node", "add", "bob", "--network", "lab", "--replace")
    assert "these are the keys of then" in _sentence(*again)
    _ok(*again, "--dir", "new")
    _ok("node", "renew", "bob", "--network", "lab", "--dir", "new")
    assert json.loads(_ok("network", "show", "lab", "--json"))["revoked"] == []
    assert "up to serial 4" in _ok("node", "revoke", "bob", "--network", "lab", "--out", "again")


def test_a_file_that_is_none_or_of_another_network_is_refused_in_one_sentence() -> None:
    assert "there is no gone" in _sentence("revocation", "apply", "gone", "alice")
    Path("text").write_text("no revocation")
    assert "text is no revocation" in _sentence("revocation", "apply", "text", "alice")
    assert "lab/nodes.json is no revocation" in _sentence("revocation", "apply", "lab/nodes.json", "alice")
    _ok("network", "create", "other")
    _ok("node", "add", "bob", "--network", "other", "--dir", "elsewhere")
    _ok("node", "revoke", "bob", "--network", "other")
    assert "is not signed by the CA of network lab" in _sentence("revocation", "apply", "bob.revocation", "alice")
    assert not Path("alice", REVOCATIONS_FILE).exists()


def test_damaged_entries_and_those_that_the_ca_did_not_sign_are_left_out() -> None:
    _ok("node", "revoke", "bob", "--network", "lab")
    _ok("revocation", "apply", "bob.revocation", "alice")
    path = Path("alice", REVOCATIONS_FILE)
    file = json.loads(path.read_text())
    path.write_text(json.dumps({"records": [*file["records"], "AAAA", 7]}))
    assert "2 damaged entries" in _sentence("revocation", "apply", "bob.revocation", "alice")
    assert json.loads(path.read_text()) == file
    _ok("revocation", "apply", "bob.revocation", "alice")
