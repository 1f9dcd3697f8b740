"""``peers.json``: whatever is wrong with it is one sentence, and never a node that does not start."""

from __future__ import annotations

import json
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from msgspec import Struct

from treecast.adapters.peers_file import MAX_PEERS_FILE_BYTES, PEERS_FILE, load_peers, write_peers
from treecast.adapters.remembered_file import DamagedError, load_remembered
from treecast.base.addresses import Endpoint
from treecast.base.errors import OperatorError
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.limits import MAX_REMEMBERED_ENDPOINTS, MAX_REMEMBERED_NODES
from treecast.links.memory import Remembered

NETWORK, OTHER = NetworkId(b"network1"), NetworkId(b"network2")
LONGEST = tuple(Endpoint(IPv6Address((1 << 128) - 1 - n), 65535) for n in range(MAX_REMEMBERED_ENDPOINTS))
OVERLAY = tuple(endpoint.address for endpoint in LONGEST[:2])
FULL = tuple(
    Remembered(NodeIndex(2**32 - 1 - n), "n" * 63, LONGEST, 2**40, 167, OVERLAY) for n in range(MAX_REMEMBERED_NODES)
)
DEEP = b'{"network": "x", "nodes": [' + b"[" * 60_000 + b"]" * 60_000 + b"]}"
NODE = {"node": 2, "name": "n2", "endpoints": ["192.0.2.2:7700"], "linked_unix_s": 0}


def test_a_full_file_comes_back_as_it_was_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    write_peers(tmp_path, NETWORK, FULL)
    assert load_peers(tmp_path, NETWORK) == FULL
    assert (tmp_path / PEERS_FILE).stat().st_mode & 0o777 == 0o600


def test_the_file_has_names_addresses_times_and_serials_of_nodes_and_no_key(tmp_path: Path) -> None:
    write_peers(tmp_path, NETWORK, FULL)
    written = json.loads((tmp_path / PEERS_FILE).read_bytes())
    assert set(written) == {"network", "nodes"}
    fields = {field for node in written["nodes"] for field in node}
    assert fields == {"node", "name", "endpoints", "linked_unix_s", "missed_hours", "overlay", "serial"}


def test_without_a_file_nothing_is_remembered(tmp_path: Path) -> None:
    assert load_peers(tmp_path, NETWORK) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"node": 0},
        {"node": 2**32},
        {"node": "2"},
        {"name": "n2\n"},
        {"name": "n" * 64},
        {"endpoints": ["192.0.2.2"]},
        {"endpoints": ["192.0.2.256:7700"]},
        {"endpoints": ["[fe80::1%eth0]:0"]},
        {"endpoints": ["192.0.2.2:7700"] * (MAX_REMEMBERED_ENDPOINTS + 1)},
        {"linked_unix_s": -1},
        {"missed_hours": -1},
        {"missed_hours": 168},
        {"overlay": ["10.77.0"]},
        {"overlay": ["10.77.0.1"] * 3},
        {"more": 1},
    ],
)
def test_a_node_that_is_not_as_written_is_left_out_alone(tmp_path: Path, changed: dict[str, object]) -> None:
    nodes = [NODE | changed, NODE | {"node": 3}]
    (tmp_path / PEERS_FILE).write_bytes(json.dumps({"network": str(NETWORK), "nodes": nodes}).encode())
    with pytest.raises(DamagedError) as caught:
        load_peers(tmp_path, NETWORK)
    path = tmp_path / PEERS_FILE
    assert str(caught.value) == f"{path} has, among 2, 1 damaged entry, which is left out: it is written anew"
    assert [one.node for one in caught.value.kept] == [3]
    assert load_peers(tmp_path, NETWORK) == caught.value.kept


def test_a_file_that_cannot_be_written_anew_is_not_said_to_be(tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise OperatorError("cannot write (read-only file system): use a directory that can be written")

    (tmp_path / PEERS_FILE).write_bytes(b"{")
    with pytest.raises(DamagedError, match=r"is damaged: cannot write .read-only file system."):
        load_remembered(tmp_path / PEERS_FILE, 100, Struct, lambda *_: (), fail)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"network": "\xff", "nodes": []}', DEEP]
)
def test_bytes_that_are_no_record_make_the_file_a_damaged_one(tmp_path: Path, data: bytes) -> None:
    damaged(tmp_path, data)


def test_too_many_nodes_make_the_file_a_damaged_one(tmp_path: Path) -> None:
    damaged(tmp_path, json.dumps({"network": str(NETWORK), "nodes": [NODE] * (MAX_REMEMBERED_NODES + 1)}).encode())


def test_a_file_that_is_too_large_or_of_another_network_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / PEERS_FILE).write_bytes(b" " * (MAX_PEERS_FILE_BYTES + 1))
    with pytest.raises(OperatorError, match="longer than 131072 bytes"):
        load_peers(tmp_path, NETWORK)
    write_peers(tmp_path, OTHER, FULL[:1])
    with pytest.raises(OperatorError, match="of another network"):
        load_peers(tmp_path, NETWORK)


def damaged(directory: Path, data: bytes) -> None:
    (directory / PEERS_FILE).write_bytes(data)
    with pytest.raises(DamagedError, match="is damaged: it is written anew"):
        load_peers(directory, NETWORK)
    assert load_peers(directory, NETWORK) == ()
