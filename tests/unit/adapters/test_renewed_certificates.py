"""``node renew``: another certificate for the keys that a node has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.adapters.stored import ALICE, BOB, NOW_S
from treecast.adapters import storage
from treecast.base.errors import OperatorError
from treecast.identity.certificate import Certificate
from treecast.identity.rights import Role

DAY_S = 86_400


@pytest.fixture
def network(tmp_path: Path) -> Path:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    storage.add_node(tmp_path / "lab", tmp_path / "alice", ALICE, NOW_S)
    return tmp_path / "lab"


def test_a_renewed_certificate_is_for_the_same_keys_and_has_a_new_serial_and_end(network: Path, tmp_path: Path) -> None:
    before = storage.load_node(tmp_path / "alice", NOW_S).certificate
    renewed = storage.renew_node(network, tmp_path / "alice", "alice", 90, None, NOW_S + DAY_S)
    now = storage.load_node(tmp_path / "alice", NOW_S + DAY_S).certificate
    assert now == renewed
    assert (now.node_id, now.node_index, now.name) == (before.node_id, before.node_index, before.name)
    assert (now.ipv4, now.ipv6, now.rights) == (before.ipv4, before.ipv6, before.rights)
    assert (now.serial, now.not_after_s) == (before.serial + 1, int(NOW_S) + 91 * DAY_S)
    (listed,) = storage.load_authority(network).registry.nodes
    assert (listed.serial, listed.not_after_s, listed.node_id) == (now.serial, now.not_after_s, now.node_id)


def test_it_is_made_without_the_node_s_directory(network: Path, tmp_path: Path) -> None:
    storage.renew_node(network, tmp_path / "to give", "alice", 90, Role.BRIDGE, NOW_S)
    assert [path.name for path in (tmp_path / "to give").iterdir()] == ["node.cert"]
    given = Certificate.decode((tmp_path / "to give" / "node.cert").read_bytes())
    own = storage.load_node(tmp_path / "alice", NOW_S).certificate
    assert (given.static_key, given.rights.roles) == (own.static_key, Role.BRIDGE)


def test_what_cannot_be_renewed_is_refused_and_changes_nothing(network: Path, tmp_path: Path) -> None:
    storage.add_node(network, tmp_path / "bob", BOB, NOW_S)
    before = storage.load_authority(network).registry
    for name, place, days, sentence in (
        ("carol", "carol", 90, "network lab has no node carol"),
        ("alice", "bob", 90, "is the certificate of another node .bob.: choose another --dir"),
        ("alice", "lab", 90, "lab is a network's directory, with ca.key: choose another --dir"),
        ("alice", "alice", 0, "valid for 1 to 36500 days"),
    ):
        with pytest.raises(OperatorError, match=sentence):
            storage.renew_node(network, tmp_path / place, name, days, None, NOW_S)
    assert storage.load_authority(network).registry == before
    assert storage.load_node(tmp_path / "bob", NOW_S).certificate.name == "bob"
    assert not (network / "node.cert").exists()
