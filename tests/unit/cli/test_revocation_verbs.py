"""``node revoke`` and ``revocation apply``: a node's certificates are taken back, for good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.running_verbs import ok, sentence
from treecast.adapters import storage
from treecast.adapters.revocations_file import REVOCATIONS_FILE, load_ca_records


@pytest.fixture(autouse=True)
def _a_network_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ok("network", "create", "lab")
    for name in ("alice", "bob"):
        ok("node", "add", name, "--network", "lab")


def _kept(directory: str) -> int:
    return len(load_ca_records(Path(directory), storage.load_network(Path(directory))))


def test_a_revocation_is_a_file_that_a_node_keeps_and_that_everybody_shows() -> None:
    said = ok("node", "revoke", "bob", "--network", "lab")
    assert "node bob (index 2): its certificates up to serial 2 are revoked" in said
    assert "treecast revocation apply bob.revocation DIR" in said
    assert "from its next start on" in ok("revocation", "apply", "bob.revocation", "alice")
    assert _kept("alice") == 1
    ok("revocation", "apply", "bob.revocation", "alice")
    assert _kept("alice") == 1
    for directory in ("lab", "alice"):
        assert json.loads(ok("network", "show", directory, "--json"))["revoked"] == ["bob"]
        assert "revoked" in ok("network", "show", directory)
    assert json.loads(ok("network", "show", "bob", "--json"))["revoked"] == []
    assert "revoked" not in ok("network", "show", "bob")
    assert [node["revoked"] for node in json.loads(ok("node", "list", "lab", "--json"))] == [False, True]
    assert "(revoked)" in ok("node", "list", "lab")


def test_revoking_once_more_makes_the_same_file_and_spoils_no_other() -> None:
    ok("node", "revoke", "bob", "--network", "lab", "--out", "one")
    before = Path("one").read_bytes()
    ok("node", "revoke", "bob", "--network", "lab", "--out", "one")
    assert Path("one").read_bytes() == before
    Path("two").write_text("mine")
    assert "choose another --out" in sentence("node", "revoke", "bob", "--network", "lab", "--out", "two")
    assert Path("two").read_text() == "mine"
    assert "has no node carol" in sentence("node", "revoke", "carol", "--network", "lab")


def test_keys_that_were_revoked_get_no_certificate_any_more_and_new_ones_do() -> None:
    ok("node", "revoke", "bob", "--network", "lab")
    assert "treecast node add bob --replace" in sentence("node", "renew", "bob", "--network", "lab")
    again = ("node", "add", "bob", "--network", "lab", "--replace")
    assert "these are the keys of then" in sentence(*again)
    ok(*again, "--dir", "new")
    ok("node", "renew", "bob", "--network", "lab", "--dir", "new")
    assert json.loads(ok("network", "show", "lab", "--json"))["revoked"] == []
    assert "up to serial 4" in ok("node", "revoke", "bob", "--network", "lab", "--out", "again")


def test_a_file_that_is_none_or_of_another_network_is_refused_in_one_sentence() -> None:
    assert "there is no gone" in sentence("revocation", "apply", "gone", "alice")
    Path("text").write_text("no revocation")
    assert "text is no revocation" in sentence("revocation", "apply", "text", "alice")
    assert "lab/nodes.json is no revocation" in sentence("revocation", "apply", "lab/nodes.json", "alice")
    ok("network", "create", "other")
    ok("node", "add", "bob", "--network", "other", "--dir", "elsewhere")
    ok("node", "revoke", "bob", "--network", "other")
    assert "is not signed by the CA of network lab" in sentence("revocation", "apply", "bob.revocation", "alice")
    assert not Path("alice", REVOCATIONS_FILE).exists()


def test_damaged_entries_and_those_that_the_ca_did_not_sign_are_left_out() -> None:
    ok("node", "revoke", "bob", "--network", "lab")
    ok("revocation", "apply", "bob.revocation", "alice")
    path = Path("alice", REVOCATIONS_FILE)
    file = json.loads(path.read_text())
    path.write_text(json.dumps({"records": [*file["records"], "AAAA", 7]}))
    assert "2 damaged entries" in sentence("revocation", "apply", "bob.revocation", "alice")
    assert json.loads(path.read_text()) == file
    ok("revocation", "apply", "bob.revocation", "alice")
