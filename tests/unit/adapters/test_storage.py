"""Networks and nodes on disk: whole or not at all, for their owner only, and nothing given out twice."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.unit.adapters.stored import ALICE, BOB, NOW_S, tree
from treecast.adapters import storage
from treecast.adapters.files import account_name, why_closed
from treecast.adapters.node_directory import node_directory
from treecast.base.errors import OperatorError
from treecast.identity.node import NodeRequest

SOMEBODY = 65_534


def _modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())}


@pytest.fixture(params=[0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_keys_and_directories_are_for_their_owner_whatever_the_umask(tmp_path: Path) -> None:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    storage.add_node(tmp_path / "lab", tmp_path / "alice", ALICE, NOW_S)
    assert _modes(tmp_path / "lab") == {
        "lab": 0o700,
        "network.json": 0o600,
        "ca.key": 0o600,
        "nodes.json": 0o600,
        "network.lock": 0o600,
    }
    assert _modes(tmp_path / "alice") == {
        "alice": 0o700,
        "network.json": 0o600,
        "node.key": 0o600,
        "node.cert": 0o644,
    }


def test_a_node_is_loaded_as_it_was_made(network: Path, tmp_path: Path) -> None:
    made = storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    loaded = storage.load_node(tmp_path / "alice", NOW_S)
    assert (loaded.network, loaded.certificate) == (made.network, made.certificate)
    assert loaded.static_private_key == made.static_private_key
    assert loaded.signing_key.public == made.certificate.signing_key


def test_directories_are_made_with_their_parents_and_empty_ones_are_kept(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir(mode=0o750)
    inode = (tmp_path / "given").stat().st_ino
    storage.create_network(tmp_path / "given", "lab", "10.77.0.0/16", None)
    assert (tmp_path / "given").stat().st_ino == inode
    assert set(_modes(tmp_path / "given")) == {"given", "network.json", "ca.key", "nodes.json"}
    storage.add_node(tmp_path / "given", tmp_path / "a" / "b" / "alice", ALICE, NOW_S)
    storage.load_node(tmp_path / "a" / "b" / "alice", NOW_S)


def _sentence(call: Callable[[], object]) -> str:
    with pytest.raises(OperatorError) as error:
        call()
    sentence = str(error.value)
    assert "\n" not in sentence
    assert ": " in sentence
    return sentence


def test_a_directory_in_use_is_left_alone(network: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = tree(tmp_path)
    assert "not empty" in _sentence(lambda: storage.create_network(network, "x", "10.0.0.0/8", None))
    assert "not a directory" in _sentence(lambda: storage.create_network(tmp_path / "file", "x", "10.0.0.0/8", None))
    assert "not a directory" in _sentence(
        lambda: storage.create_network(tmp_path / "dangling", "x", "10.0.0.0/8", None)
    )
    assert tree(tmp_path) == before


def test_a_name_or_address_that_is_taken_changes_nothing(network: Path, tmp_path: Path) -> None:
    storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    before = tree(tmp_path)
    again = NodeRequest("carol", IPv4Address("10.77.0.1"), None, 30)
    assert "has a node alice already" in _sentence(lambda: storage.add_node(network, tmp_path / "x", ALICE, NOW_S))
    assert "is taken by node alice" in _sentence(lambda: storage.add_node(network, tmp_path / "x", again, NOW_S))
    assert "not empty" in _sentence(lambda: storage.add_node(network, tmp_path / "alice", BOB, NOW_S))
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("network.json", None, "network.json is missing: put it back"),
        ("network.json", b"{", "network.json is damaged (network_malformed)"),
        ("ca.key", None, "has no ca.key"),
        ("ca.key", b"garbage", "ca.key is damaged (key_malformed)"),
        ("nodes.json", None, "has no nodes.json"),
        ("nodes.json", b"", "nodes.json is damaged (registry_malformed)"),
    ],
)
def test_a_missing_or_damaged_file_of_the_network_is_named(
    network: Path, tmp_path: Path, file: str, content: bytes | None, sentence: str
) -> None:
    (network / file).unlink()
    if content is not None:
        (network / file).write_bytes(content)
    before = tree(tmp_path)
    assert sentence in _sentence(lambda: storage.add_node(network, tmp_path / "alice", ALICE, NOW_S))
    assert tree(tmp_path) == before


def test_another_networks_ca_key_admits_nobody(network: Path, tmp_path: Path) -> None:
    storage.create_network(tmp_path / "other", "other", "10.77.0.0/16", None)
    (tmp_path / "other" / "ca.key").replace(network / "ca.key")
    assert "not that of network lab" in _sentence(lambda: storage.load_authority(network))


def test_a_file_in_the_place_of_a_directory_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "there is no network in" in _sentence(lambda: storage.load_network(tmp_path / "file"))


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("network.json", None, "network.json is missing: put it back"),
        ("network.json", b"{", "network.json is damaged"),
        ("node.cert", None, "node.cert is missing: put it back, or renew it where the CA key is"),
        ("node.cert", b"\x92", "node.cert is damaged (certificate_malformed)"),
        ("node.key", None, "node.key is missing"),
        ("node.key", b"", "node.key is damaged (key_malformed)"),
    ],
)
def test_a_missing_or_damaged_file_of_the_node_is_named(
    network: Path, tmp_path: Path, file: str, content: bytes | None, sentence: str
) -> None:
    storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    (tmp_path / "alice" / file).unlink()
    if content is not None:
        (tmp_path / "alice" / file).write_bytes(content)
    assert sentence in _sentence(lambda: storage.load_node(tmp_path / "alice", NOW_S))


def test_a_network_of_before_keys_is_to_be_made_anew(network: Path, tmp_path: Path) -> None:
    storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    path = tmp_path / "alice" / "network.json"
    fields = json.loads(path.read_text())
    assert len(bytes.fromhex(fields.pop("key"))) == 32
    path.write_text(json.dumps(fields))
    sentence = _sentence(lambda: storage.load_node(tmp_path / "alice", NOW_S))
    assert "has no network key: it is of a version of before, so make the network anew" in sentence


def test_a_copied_certificate_without_its_key_is_refused(network: Path, tmp_path: Path) -> None:
    storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    storage.add_node(network, tmp_path / "bob", BOB, NOW_S)
    (tmp_path / "alice" / "node.cert").replace(tmp_path / "bob" / "node.cert")
    assert "does not belong to the certificate" in _sentence(lambda: storage.load_node(tmp_path / "bob", NOW_S))


def test_a_certificate_of_another_time_or_network_is_refused(network: Path, tmp_path: Path) -> None:
    storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    late, early = NOW_S + 31 * 86_400, NOW_S - 3601
    expired = _sentence(lambda: storage.load_node(tmp_path / "alice", late))
    assert "expired on 2025-07-15T15:06:40Z, and this machine's clock says 2025-07-16T15:06:40Z: if that is" in expired
    not_yet = _sentence(lambda: storage.load_node(tmp_path / "alice", early))
    assert "and it is 2025-06-15T14:06:39Z by this machine's clock: set it" in not_yet
    storage.create_network(tmp_path / "other", "lab", "10.77.0.0/16", None)
    (tmp_path / "other" / "network.json").replace(tmp_path / "alice" / "network.json")
    assert "certificate_wrong_network" in _sentence(lambda: storage.load_node(tmp_path / "alice", NOW_S))


def test_only_one_process_is_the_node_of_a_directory(tmp_path: Path) -> None:
    with storage.acquire_node_lock(tmp_path):
        assert "is running" in _sentence(lambda: storage.acquire_node_lock(tmp_path))
    storage.acquire_node_lock(tmp_path).release()


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        storage.acquire_node_lock(tmp_path)
        os._exit(0)
    os.waitpid(child, 0)
    storage.acquire_node_lock(tmp_path).release()


def _as_somebody_else(directory: Path, call: Callable[[Path], object]) -> str:
    """The outcome of ``call`` for an unprivileged account whose working directory is ``directory``."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.chdir(directory)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(SOMEBODY)
            os.setuid(SOMEBODY)
        try:
            call(Path())
        except OperatorError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read().decode()


def test_a_read_only_directory_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    said = _as_somebody_else(tmp_path, lambda here: storage.create_network(here / "lab", "lab", "10.0.0.0/8", None))
    tmp_path.chmod(0o755)
    assert said == (
        "cannot make the network in lab (permission denied): use another directory or the account that owns this one"
    )
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("file", ["network.json", "ca.key", "nodes.json"])
def test_an_unreadable_file_is_explained(network: Path, file: str) -> None:
    network.chmod(0o777)
    for path in network.iterdir():
        path.chmod(0o000 if path.name == file else 0o600)
        if os.geteuid() == 0:
            os.chown(path, SOMEBODY, SOMEBODY)
    said = _as_somebody_else(network, lambda here: storage.add_node(here, here / "alice", ALICE, NOW_S))
    assert said == f"{file} may not be read by its owner (mode 0000): chmod 600 {file}"


def test_a_file_of_another_account_and_a_closed_directory_are_said_with_the_command_that_opens_them(
    network: Path,
) -> None:
    network.chmod(0o777)
    (network / "shut").mkdir(mode=0)
    if os.geteuid() == 0:
        os.chown(network / "shut", SOMEBODY, SOMEBODY)
    me = account_name(SOMEBODY if os.geteuid() == 0 else os.geteuid())
    said = _as_somebody_else(network, lambda here: storage.load_network(here / "shut"))
    assert said == f"shut is closed to {me}, who is to read shut/network.json: chmod u+rwx shut"
    said = _as_somebody_else(network, lambda here: storage.load_unverified(here / "shut"))
    assert said == f"shut is closed to {me}, who is to read shut/node.cert: chmod u+rwx shut"
    path, me = network / "network.json", account_name(os.geteuid())
    assert why_closed(path) == f"{path} belongs to {me}, and {me} may not read it: chown {me} {path}"


@pytest.mark.parametrize("file", ["network.json", "node.key"])
def test_a_secret_that_its_owner_may_not_read_is_refused_even_if_root_could(
    network: Path, tmp_path: Path, file: str
) -> None:
    alice = tmp_path / "alice"
    storage.add_node(network, alice, ALICE, NOW_S)
    (alice / file).chmod(0o000)
    path = alice / file
    with pytest.raises(OperatorError) as caught:
        storage.load_node(alice, NOW_S)
    assert str(caught.value) == f"{path} may not be read by its owner (mode 0000): chmod 600 {path}"


def test_a_directory_that_may_not_be_looked_into_is_explained(network: Path, tmp_path: Path) -> None:
    network.chmod(0o000)
    tmp_path.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(network, SOMEBODY, SOMEBODY)
    said = _as_somebody_else(tmp_path, lambda here: storage.add_node(here / "lab", here / "alice", ALICE, NOW_S))
    assert said.endswith(", who is to read lab/network.json: chmod u+rwx lab")
    said = _as_somebody_else(tmp_path, lambda here: storage.load_node(here / "lab", NOW_S))
    assert said.endswith(", who is to read lab/node.cert: chmod u+rwx lab")
    network.chmod(0o700)


def test_a_directory_of_another_account_is_to_be_read_by_that_one(network: Path) -> None:
    network.parent.chmod(0o755)
    me = account_name(SOMEBODY)
    for owner, how in ((0, "run this as root, with sudo"), (1, "run this as daemon, with sudo -u daemon")):
        os.chown(network, owner, owner)
        said = _as_somebody_else(network.parent, lambda here: node_directory(here / "lab"))
        assert said == f"lab belongs to {account_name(owner)} and is closed to {me}: {how}"


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_may_write_is_refused_until_they_may_not(
    network: Path, tmp_path: Path, mode: int
) -> None:
    alice = tmp_path / "alice"
    storage.add_node(network, alice, ALICE, NOW_S)
    alice.chmod(mode)
    with pytest.raises(OperatorError) as refused:
        storage.load_node(alice, NOW_S)
    assert str(refused.value).startswith(f"{alice} can be written by other accounts (mode {mode:04o})")
    assert str(refused.value).endswith(f": chmod go-w {alice}")
    for right in (0o700, 0o755, 0o711):
        alice.chmod(right)
        storage.load_node(alice, NOW_S)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o601])
def test_a_key_that_others_may_open_is_refused_until_its_mode_is_right(
    network: Path, tmp_path: Path, mode: int
) -> None:
    storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    for key, load in (
        (tmp_path / "alice" / "node.key", lambda: storage.load_node(tmp_path / "alice", NOW_S)),
        (network / "ca.key", lambda: storage.load_authority(network)),
        (tmp_path / "alice" / "network.json", lambda: storage.load_node(tmp_path / "alice", NOW_S)),
        (network / "network.json", lambda: storage.load_authority(network)),
    ):
        key.chmod(mode)
        with pytest.raises(OperatorError) as refused:
            load()
        sentence = f"{key} is open to other accounts (mode {mode:04o}): chmod 600 {key}, and "
        sentence += "make the network anew" if key.name == "network.json" else "take new keys"
        assert str(refused.value).startswith(f"{sentence} if others may have read it")
        for right in (0o400, 0o600, 0o700):
            key.chmod(right)
            load()


def test_a_file_that_root_replaces_in_somebody_s_directory_is_theirs(network: Path, tmp_path: Path) -> None:
    storage.add_node(network, tmp_path / "alice", ALICE, NOW_S)
    owner = SOMEBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path / "alice", owner, -1)
    storage.add_node(network, tmp_path / "alice", replace(ALICE, replace=True), NOW_S)
    certificate = (tmp_path / "alice" / "node.cert").stat()
    assert (certificate.st_uid, stat.S_IMODE(certificate.st_mode)) == (owner, 0o644)
    with storage.acquire_node_lock(tmp_path / "alice"):
        assert (tmp_path / "alice" / "node.lock").stat().st_uid == owner
