"""``node revoke`` and ``revocation apply``: a node's certificates are taken back, for good."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.cli.running_verbs import network_of_two, noted, ok, sentence
from treecast.adapters import storage
from treecast.adapters.ca_records import read_revocation, sign_revocation
from treecast.adapters.revocations_file import REVOCATIONS_FILE, load_ca_records
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate
from treecast.identity.keys import SigningKey
from treecast.identity.request import Admission
from treecast.identity.revocation import Revocations


@pytest.fixture(autouse=True)
def _a_network_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network_of_two()


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


def test_only_the_certificates_before_the_newest_one_are_revoked_where_that_is_asked() -> None:
    before = Path("bob/node.cert").read_bytes()
    ok("node", "renew", "bob", "--network", "lab")
    said = ok("node", "revoke", "bob", "--older", "--network", "lab")
    assert "node bob (index 2): its certificates up to serial 2 are revoked, that with serial 3 counts" in said
    assert "where bob has that one (its status has its end), treecast revocation apply bob.revocation DIR" in said
    assert "certificates of node bob (index 2) up to serial 2 are revoked for the node in" in ok(
        "revocation", "apply", "bob.revocation", "alice"
    )
    network = storage.load_network(Path("alice"))
    known = Revocations()
    for record in load_ca_records(Path("alice"), network):
        node, content = read_revocation(record, network.ca_public_key)
        known.put(node, content.serial, content.name)
    old, new = Certificate.decode(before), Certificate.decode(Path("bob/node.cert").read_bytes())
    assert (known.is_revoked(old), known.is_revoked(new)) == (True, False)
    assert json.loads(ok("network", "show", "lab", "--json"))["revoked"] == [], "the node is none of them"
    ok("node", "renew", "bob", "--network", "lab")
    assert "has no node carol" in sentence("node", "revoke", "carol", "--older", "--network", "lab")
    ok("node", "revoke", "bob", "--network", "lab", "--out", "whole")
    assert "leave out --older" in sentence("node", "revoke", "bob", "--older", "--network", "lab", "--out", "third")


def test_a_node_whose_older_certificates_are_revoked_often_has_one_record() -> None:
    for number in range(5):
        ok("node", "renew", "bob", "--network", "lab")
        ok("node", "revoke", "bob", "--older", "--network", "lab", "--out", f"{number}")
        ok("revocation", "apply", f"{number}", "alice")
    assert (_kept("lab"), _kept("alice")) == (1, 1)
    ok("revocation", "apply", "0", "alice")
    assert load_ca_records(Path("alice"), storage.load_network(Path("alice"))) == (Path("4").read_bytes(),)


def test_keys_that_were_revoked_get_no_certificate_any_more_and_new_ones_do() -> None:
    ok("node", "revoke", "bob", "--network", "lab")
    again = ("node", "add", "bob", "--network", "lab", "--replace")
    refused = sentence(*again)
    assert "these are the keys of then" in refused
    assert advised(refused) == advised(sentence("node", "renew", "bob", "--network", "lab"))
    ok(*advised(refused))
    ok("node", "renew", "bob", "--network", "lab", "--dir", "bob-2")
    assert json.loads(ok("network", "show", "lab", "--json"))["revoked"] == []
    assert "up to serial 4" in ok("node", "revoke", "bob", "--network", "lab", "--out", "again")


def advised(said: str) -> list[str]:
    """The verb and its options in the last brackets."""
    program, *arguments = shlex.split(said[said.rindex("(") + 1 : said.rindex(")")])
    assert program == "treecast"
    return arguments


@pytest.mark.parametrize("directories", [("bob",), ("bob", "bob-2"), ()])
def test_the_advice_on_new_keys_works_as_it_is_printed(directories: tuple[str, ...]) -> None:
    Path("lab").rename("my lab")
    Path("bob").rename("away")
    for directory in directories:
        Path(directory).mkdir()
        Path(directory, "file").write_text("something else, or the keys that were revoked")
    printed = ok("node", "revoke", "bob", "--network", "my lab")
    assert "index 2" in ok(*advised(printed))
    assert "revoked" not in ok("node", "list", "my lab")


def test_a_file_that_is_none_or_of_another_network_is_refused_in_one_sentence() -> None:
    assert "there is no file gone" in sentence("revocation", "apply", "gone", "alice")
    Path("text").write_text("no revocation")
    assert "text is no revocation" in sentence("revocation", "apply", "text", "alice")
    assert "lab/nodes.json is no revocation" in sentence("revocation", "apply", "lab/nodes.json", "alice")
    ok("network", "create", "other")
    ok("node", "add", "bob", "--network", "other", "--dir", "elsewhere")
    ok("node", "revoke", "bob", "--network", "other")
    assert "is not signed by the CA of network lab" in sentence("revocation", "apply", "bob.revocation", "alice")
    assert not Path("alice", REVOCATIONS_FILE).exists()


def test_a_directory_or_a_place_that_is_none_is_named_and_nothing_is_done() -> None:
    revoke = ("node", "revoke", "bob", "--network", "lab", "--out")
    assert "there is no directory gone: make it, or choose another --out" in sentence(*revoke, "gone/bob")
    assert "alice is a directory: give a file as --out, like alice/bob.revocation" in sentence(*revoke, "alice")
    assert "there is no directory bob/node.cert: make it" in sentence(*revoke, "bob/node.cert/file")
    wanted = "is a directory: give the file that treecast node revoke wrote"
    assert f"bob {wanted}" in sentence("revocation", "apply", "bob", "alice")
    assert [node["revoked"] for node in json.loads(ok("node", "list", "lab", "--json"))] == [False, False]
    assert not Path("lab", REVOCATIONS_FILE).exists()


def test_nodes_that_are_added_later_know_what_is_revoked_from_their_first_start_on() -> None:
    assert not Path("alice", REVOCATIONS_FILE).exists()
    ok("node", "revoke", "bob", "--network", "lab")
    ok("node", "add", "bob", "--network", "lab", "--replace", "--dir", "new")
    ok("node", "add", "carol", "--network", "lab")
    ok("node", "request", "dave")
    ok("node", "sign", "dave/node.request", "--network", "lab")
    ok("node", "accept", "dave.admission", "--dir", "dave")
    for directory in ("new", "carol", "dave"):
        assert load_ca_records(Path(directory), storage.load_network(Path(directory))) == (
            Path("bob.revocation").read_bytes(),
        )
        assert Path(directory, REVOCATIONS_FILE).stat().st_mode & 0o777 == 0o600
        assert json.loads(ok("network", "show", directory, "--json"))["revoked"] == ["bob"]


def test_the_registry_says_who_is_revoked_where_the_network_has_lost_its_revocations() -> None:
    ok("node", "revoke", "bob", "--network", "lab")
    Path("lab", REVOCATIONS_FILE).unlink()
    ok("node", "add", "carol", "--network", "lab")
    assert _kept("carol") == 1


def test_an_admission_brings_no_record_that_the_ca_did_not_sign() -> None:
    ok("node", "request", "dave")
    ok("node", "revoke", "bob", "--network", "lab")
    ok("node", "sign", "dave/node.request", "--network", "lab")
    admission = Admission.decode(Path("dave.admission").read_bytes())
    assert admission.ca_records == (Path("bob.revocation").read_bytes(),)
    forged = sign_revocation(SigningKey(bytes(32)), NodeIndex(1), 9, "alice")
    Path("dave.admission").write_bytes(replace(admission, ca_records=(forged, *admission.ca_records)).encode())
    ok("node", "accept", "dave.admission", "--dir", "dave")
    assert load_ca_records(Path("dave"), storage.load_network(Path("dave"))) == admission.ca_records


def test_damaged_entries_and_those_that_the_ca_did_not_sign_are_left_out() -> None:
    ok("node", "revoke", "bob", "--network", "lab")
    ok("revocation", "apply", "bob.revocation", "alice")
    path = Path("alice", REVOCATIONS_FILE)
    file = json.loads(path.read_text())
    path.write_text(json.dumps({"records": [*file["records"], "AAAA", 7]}))
    said = noted("revocation", "apply", "bob.revocation", "alice")
    assert "2 damaged entries" in said
    assert said.endswith("with what is added now and 1 whole record of before: add others again\n")
    assert json.loads(path.read_text()) == file
    ok("revocation", "apply", "bob.revocation", "alice")


@pytest.mark.parametrize("content", ["", '{"records":[', "no JSON", '{"records":"none"}'])
def test_a_damaged_file_keeps_no_revocation_from_being_taken(content: str) -> None:
    Path("lab", REVOCATIONS_FILE).write_text(content)
    rest = "is damaged: it is written anew, with what is added now and 0 whole records of before: add others again\n"
    assert noted("node", "revoke", "bob", "--network", "lab") == f"treecast: lab/{REVOCATIONS_FILE} {rest}"
    Path("alice", REVOCATIONS_FILE).write_text(content)
    assert noted("revocation", "apply", "bob.revocation", "alice") == f"treecast: alice/{REVOCATIONS_FILE} {rest}"
    ok("node", "renew", "alice", "--network", "lab")
    Path("lab", REVOCATIONS_FILE).write_text(content)
    assert rest in noted("node", "revoke", "alice", "--older", "--network", "lab")
    ok("node", "request", "dave")
    ok("node", "sign", "dave/node.request", "--network", "lab")
    Path("dave", REVOCATIONS_FILE).write_text(content)
    assert rest in noted("node", "accept", "dave.admission", "--dir", "dave")
    assert (_kept("lab"), _kept("alice"), _kept("dave")) == (1, 1, 2)


def test_whole_records_of_a_damaged_file_stay_beside_the_one_that_is_added() -> None:
    ok("node", "add", "carol", "--network", "lab")
    for name in ("bob", "carol"):
        ok("node", "revoke", name, "--network", "lab")
    ok("revocation", "apply", "bob.revocation", "alice")
    path = Path("alice", REVOCATIONS_FILE)
    path.write_text(json.dumps({"records": [7, *json.loads(path.read_text())["records"]]}))
    assert "1 damaged entry" in noted("revocation", "apply", "carol.revocation", "alice")
    assert json.loads(ok("network", "show", "alice", "--json"))["revoked"] == ["bob", "carol"]
