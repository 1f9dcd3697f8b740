"""A node that makes its keys itself: ``node request``, ``node sign``, ``node accept``."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from tests.unit.cli.running_verbs import ok, sentence
from treecast.adapters import clock, storage
from treecast.identity.rights import Role


@pytest.fixture(autouse=True)
def _a_network_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ok("network", "create", "lab")


def _request_of_alice() -> Path:
    ok("node", "request", "alice")
    return Path("alice/node.request")


def _admission_of_alice() -> Path:
    ok("node", "sign", str(_request_of_alice()), "--network", "lab")
    return Path("alice.admission")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_node_that_asked_is_signed_for_and_accepts_it_and_is_one_like_any_other() -> None:
    said = ok("node", "request", "alice", "--dir", "there")
    assert "take there/node.request to where the CA key is" in said
    assert (_mode(Path("there")), _mode(Path("there/node.key"))) == (0o700, 0o600)
    keys = Path("there/node.key").read_bytes()

    said = ok("node", "sign", "there/node.request", "--network", "lab", "--days", "2", "--role", "bridge,relay")
    assert "node alice: index 1" in said
    assert "roles: bridge, relay" in said
    assert _mode(Path("alice.admission")) == 0o600

    said = ok("node", "accept", "alice.admission", "--dir", "there")
    assert "node alice is admitted to network lab" in said
    node = storage.load_node(Path("there"), clock.unix_s())
    assert node.certificate.rights.roles == Role.BRIDGE | Role.RELAY
    assert node.network == storage.load_network(Path("lab"))
    assert Path("there/node.key").read_bytes() == keys
    assert sorted(path.name for path in Path("there").iterdir()) == ["network.json", "node.cert", "node.key"]
    assert "alice" in ok("node", "list", "lab")


def test_no_private_key_is_in_what_leaves_the_nodes_machine_nor_at_the_ca() -> None:
    _admission_of_alice()
    ok("node", "accept", "alice.admission", "--dir", "alice")
    keys = storage.load_node(Path("alice"), clock.unix_s()).keys
    elsewhere = [path for place in (Path(), Path("lab")) for path in place.iterdir() if path.is_file()]
    assert len(elsewhere) >= 4
    for path in elsewhere:
        assert keys.static.private not in path.read_bytes()
        assert keys.static.private.hex().encode() not in path.read_bytes()
        assert b"PRIVATE KEY" not in path.read_bytes() or path.name == "ca.key"


def test_a_request_that_was_altered_is_refused() -> None:
    path = _request_of_alice()
    path.write_bytes(path.read_bytes().replace(b"alice", b"malic"))
    assert "was altered since its node made it" in sentence("node", "sign", str(path), "--network", "lab")
    assert not Path("malic.admission").exists()
    assert "alic" not in ok("node", "list", "lab")


def test_what_is_no_request_is_refused_in_a_sentence() -> None:
    Path("notes").write_text("hello")
    assert "notes is no request of a node" in sentence("node", "sign", "notes", "--network", "lab")
    _request_of_alice()
    wanted = "give the node.request that treecast node request made"
    assert f"there is no file nowhere: {wanted}" in sentence("node", "sign", "nowhere", "--network", "lab")
    assert f"there is no file notes/x: {wanted}" in sentence("node", "sign", "notes/x", "--network", "lab")
    assert f"alice is a directory: {wanted}" in sentence("node", "sign", "alice", "--network", "lab")


def test_a_directory_as_the_place_of_the_answer_is_left_alone() -> None:
    path = _request_of_alice()
    said = sentence("node", "sign", str(path), "--network", "lab", "--out", "alice")
    assert "alice is a directory: give a file as --out, like alice/alice.admission" in said
    assert "alice" not in ok("node", "list", "lab")


def test_a_request_that_was_signed_already_is_signed_again_on_demand_only() -> None:
    _admission_of_alice()
    sign = ("node", "sign", "alice/node.request", "--network", "lab", "--out", "again")
    assert "the request of alice was signed already" in sentence(*sign)
    assert not Path("again").exists()
    assert "index 1" in ok(*sign, "--replace")
    ok("node", "accept", "again", "--dir", "alice")
    assert "has a newer certificate already" in sentence("node", "accept", "alice.admission", "--dir", "alice")


def test_a_name_that_is_taken_is_refused_and_an_answer_that_lies_there_is_kept() -> None:
    ok("node", "add", "alice", "--network", "lab", "--dir", "first")
    ok("node", "request", "alice", "--dir", "second")
    sign = ("node", "sign", "second/node.request", "--network", "lab")
    assert "has a node alice already" in sentence(*sign)
    Path("alice.admission").write_text("mine")
    assert "alice.admission is there already" in sentence(*sign, "--replace")
    assert Path("alice.admission").read_text() == "mine"


def test_what_cannot_be_written_admits_nobody() -> None:
    path = _request_of_alice()
    sign = ("node", "sign", str(path), "--network", "lab", "--out")
    assert "cannot write /proc/file" in sentence(*sign, "/proc/file")
    assert "there is no directory nowhere: make it" in sentence(*sign, "nowhere/file")
    assert ok("node", "sign", str(path), "--network", "lab")


def test_a_directory_that_has_a_request_gets_no_second_one() -> None:
    path = _request_of_alice()
    before = path.read_bytes()
    assert "alice has a request already" in sentence("node", "request", "alice")
    ok("node", "add", "bob", "--network", "lab")
    assert "bob is there already and not empty" in sentence("node", "request", "bob")
    assert "cannot be the name of a node" in sentence("node", "request", "Alice!", "--dir", "new")
    assert path.read_bytes() == before
    assert not Path("new").exists()


def test_a_node_accepts_what_was_signed_for_its_own_keys_once() -> None:
    admission = _admission_of_alice()
    ok("node", "request", "carol")
    assert "alice.admission is for other keys than those in carol" in sentence(
        "node", "accept", str(admission), "--dir", "carol"
    )
    assert not Path("carol/network.json").exists()
    ok("node", "accept", str(admission), "--dir", "alice")
    assert "has accepted this already" in sentence("node", "accept", str(admission), "--dir", "alice")


def test_a_file_that_is_no_answer_is_refused_in_words() -> None:
    path = _request_of_alice()
    assert "is the request of alice itself" in sentence("node", "accept", str(path), "--dir", "alice")
    Path("notes").write_text("hello")
    assert "notes is damaged, or no answer to a request" in sentence("node", "accept", "notes", "--dir", "alice")
    wanted = "give the file that treecast node sign wrote"
    assert f"there is no file nowhere: {wanted}" in sentence("node", "accept", "nowhere", "--dir", "alice")
    assert f"lab is a directory: {wanted}" in sentence("node", "accept", "lab", "--dir", "alice")


def test_an_answer_without_the_directory_of_its_request_is_told_how_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    admission = _admission_of_alice()
    Path("empty").mkdir()
    said = sentence("node", "accept", str(admission), "--dir", "empty")
    assert "empty is not a node's directory: make one with treecast node request" in said
    said = sentence("node", "accept", str(admission), "--dir", "nowhere")
    assert "there is no directory nowhere: make a node with treecast node request" in said
    monkeypatch.setenv("TREECAST_DIR", os.fspath(Path.cwd() / "empty"))
    said = sentence("node", "accept", str(admission))
    assert said.endswith("name its directory as --dir, or make one with treecast node request\n")


def test_an_answer_that_was_altered_is_refused() -> None:
    admission = _admission_of_alice()
    what, certificate, *others = msgspec.msgpack.decode(admission.read_bytes())
    altered = bytearray(certificate)
    altered[-1] ^= 1
    admission.write_bytes(msgspec.msgpack.encode((what, bytes(altered), *others)))
    assert "was not signed by the network's CA" in sentence("node", "accept", str(admission), "--dir", "alice")


def test_a_node_of_one_network_is_not_admitted_to_another() -> None:
    ok("network", "create", "other")
    admission = _admission_of_alice()
    ok("node", "sign", "alice/node.request", "--network", "other", "--out", "elsewhere")
    ok("node", "accept", str(admission), "--dir", "alice")
    said = sentence("node", "accept", "elsewhere", "--dir", "alice")
    assert "is of network lab" in said
    assert "network other" in said


def test_up_says_that_the_answer_to_the_request_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    _request_of_alice()
    said = sentence("up", "alice")
    assert "has no certificate yet: have alice/node.request signed" in said
    monkeypatch.setenv("TREECAST_DIR", os.fspath(Path.cwd() / "alice"))
    ok("node", "sign", "alice/node.request", "--network", "lab")
    assert "is admitted to network lab" in ok("node", "accept", "alice.admission")


def test_a_certificate_is_renewed_only_where_the_keys_are_that_it_is_for() -> None:
    ok("node", "accept", str(_admission_of_alice()), "--dir", "alice")
    ok("node", "request", "alice", "--dir", "new")
    ok("node", "sign", "new/node.request", "--network", "lab", "--replace", "--out", "second")
    older = Path("alice/node.cert").read_bytes()
    assert "alice/node.cert is for other keys than alice has" in sentence("node", "renew", "alice", "--network", "lab")
    assert Path("alice/node.cert").read_bytes() == older
    ok("node", "renew", "alice", "--network", "lab", "--dir", "new")
    Path("alice/node.cert").unlink()
    assert "alice/node.key has other keys than alice was" in sentence("node", "renew", "alice", "--network", "lab")
    assert not Path("alice/node.cert").exists()
    ok("node", "renew", "alice", "--network", "lab", "--dir", "elsewhere")


def test_who_renews_is_told_whether_the_certificate_is_where_its_node_has_it() -> None:
    ok("node", "add", "alice", "--network", "lab")
    assert "A node that runs with alice takes it within 5 s" in ok("node", "renew", "alice", "--network", "lab")
    assert "Put new/node.cert in place of the one" in ok("node", "renew", "alice", "--network", "lab", "--dir", "new")
