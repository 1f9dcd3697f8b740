"""``bridge add --packet`` of an interface that the node does not open: all is remembered as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.api.serving import STATUS, serving
from treecast.adapters import storage
from treecast.adapters.bridge_record import PacketPortRecord, load_packet_ports, write_packet_ports
from treecast.api.bridge_records import Bridge, PacketPort
from treecast.api.handover import DescriptorInbox
from treecast.api.records import Answer, Verb
from treecast.cli.main import app
from treecast.identity.node import NodeRequest
from treecast.identity.rights import Role

BEFORE = [PacketPortRecord("lan7", 500), PacketPortRecord("lan8")]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's directory, and interfaces that need no rights."""
    monkeypatch.setattr("treecast.adapters.packet_port._require_usable", lambda *_: None)
    monkeypatch.setattr("treecast.adapters.packet_port.open_packet_socket", lambda _: os.open(os.devnull, os.O_RDONLY))
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    alice = NodeRequest("alice", None, None, 30, roles=Role.BRIDGE)
    storage.add_node(tmp_path / "lab", tmp_path / "alice", alice, 1_800_000_000.0)
    return tmp_path / "alice"


@pytest.mark.parametrize(
    ("interface", "now"),
    [("wan5", [PacketPortRecord("lan8"), PacketPortRecord("wan5")]), ("wan6", [*BEFORE, PacketPortRecord("wan6")])],
    ids=["a new name of a port", "another interface"],
)
@pytest.mark.parametrize("opens", [True, False])
def test_what_was_remembered_is_what_the_node_reads_again(
    node: Path, interface: str, now: list[PacketPortRecord], *, opens: bool
) -> None:
    """lan7 is called wan5 now."""
    read: list[list[PacketPortRecord]] = []

    def answer(verb: Verb) -> Answer:
        if verb is Verb.STATUS:
            return STATUS
        if verb is Verb.BRIDGE_CHANGED:
            read.append(load_packet_ports(node))
            return Bridge("", "", packet_ports=[PacketPort(interface, 2 if opens else None)])
        return Bridge("", "", packet_ports=[PacketPort("wan5", 1, remembered_as="lan7")])

    write_packet_ports(node, BEFORE)
    inbox = DescriptorInbox(node)
    with serving(node, answer):
        result = CliRunner().invoke(app, ["bridge", "add", str(node), interface, "--packet"])
    inbox.close()
    if opens:
        assert (result.exit_code, read) == (0, [now])
    else:
        assert result.stderr == f"treecast: the node did not open {interface}: its log says why\n"
        assert read == [now, BEFORE]
        assert load_packet_ports(node) == BEFORE
