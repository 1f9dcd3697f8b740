"""``bridge remove`` goes by the names that interfaces have now, and fails where there is nothing to remove."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.unit.api.serving import serving
from treecast.adapters import storage
from treecast.adapters.bridge_record import (
    BridgeRecord,
    PacketPortRecord,
    load_packet_ports,
    load_record,
    write_packet_ports,
    write_record,
)
from treecast.api.bridge_records import Bridge, PacketPort
from treecast.cli.main import app
from treecast.identity.node import NodeRequest
from treecast.identity.rights import Role


@pytest.fixture
def node(tmp_path: Path) -> Path:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    alice = NodeRequest("alice", None, None, 30, roles=Role.BRIDGE)
    storage.add_node(tmp_path / "lab", tmp_path / "alice", alice, 1_800_000_000.0)
    return tmp_path / "alice"


def _remove(node: Path, interface: str) -> Result:
    return CliRunner().invoke(app, ["bridge", "remove", str(node), interface])


def _two_that_swapped_names(sysfs: Path) -> tuple[str, str]:
    """The MACs of what is lan0 and lan1 in ``sysfs`` now, and was lan1 and lan0."""
    macs = ("02:00:00:00:00:52", "02:00:00:00:00:51")
    for name, mac in zip(("lan0", "lan1"), macs, strict=True):
        (sysfs / name).mkdir()
        (sysfs / name / "address").write_text(f"{mac}\n")
    return macs


@pytest.mark.parametrize("is_running", [True, False])
def test_what_is_removed_is_what_has_the_name_now_not_what_is_remembered_by_it(
    node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_running: bool
) -> None:
    (tmp_path / "sys").mkdir()
    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", tmp_path / "sys")
    of_port, of_bridge = _two_that_swapped_names(tmp_path / "sys")
    (tmp_path / "sys/tcbr-lan0/brif/lan1").mkdir(parents=True)
    bridge = BridgeRecord("lan0", "tcbr-lan0", of_bridge, "treecast0", 1374, [], [])
    port = PacketPortRecord("lan1", mac=of_port)
    answer = Bridge("lan1", "tcbr-lan0", packet_ports=[PacketPort("lan0", 1, remembered_as="lan1")])
    for name, left in (("lan1", (None, [port])), ("lan0", (bridge, []))):
        write_record(node, bridge)
        write_packet_ports(node, [port])
        with serving(node, lambda verb: answer) if is_running else nullcontext():
            result = _remove(node, name)
        assert (result.exit_code, result.stdout) == (0, f"{name} is on its own again\n")
        assert (load_record(node), load_packet_ports(node)) == left


@pytest.mark.parametrize("is_running", [True, False])
def test_of_two_packet_ports_that_swapped_names_the_one_that_has_the_name_now_is_removed(
    node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_running: bool
) -> None:
    (tmp_path / "sys").mkdir()
    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", tmp_path / "sys")
    of_lan0, of_lan1 = _two_that_swapped_names(tmp_path / "sys")
    ports = [PacketPortRecord("lan0", mac=of_lan1), PacketPortRecord("lan1", mac=of_lan0)]
    shown = [PacketPort("lan1", 1, remembered_as="lan0"), PacketPort("lan0", 2, remembered_as="lan1")]
    for name, left in (("lan1", ports[1]), ("lan0", ports[0])):
        write_packet_ports(node, ports)
        with serving(node, lambda verb: Bridge("", "", packet_ports=shown)) if is_running else nullcontext():
            assert _remove(node, name).stdout == f"{name} is on its own again\n"
        assert load_packet_ports(node) == [left]


def test_a_packet_port_is_removed_by_the_name_that_it_had_where_no_interface_has_that_now(node: Path) -> None:
    shown = [PacketPort("wan5", 1, remembered_as="lan7")]
    write_packet_ports(node, [PacketPortRecord("lan7")])
    with serving(node, lambda verb: Bridge("", "", packet_ports=shown)):
        assert _remove(node, "lan7").stdout == "wan5 is on its own again\n"
    assert load_packet_ports(node) == []


def test_removing_what_is_not_bridged_is_one_sentence_and_a_failure(node: Path) -> None:
    result = _remove(node, "eth0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "treecast: eth0 is not bridged by this node, nor is any other interface\n"
    write_packet_ports(node, [PacketPortRecord("wlan0")])
    result = _remove(node, "eth0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "treecast: eth0 is not bridged by this node, which carries the LAN of wlan0: remove that\n"
    assert load_packet_ports(node) == [PacketPortRecord("wlan0")]
