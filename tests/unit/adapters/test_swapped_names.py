"""Interfaces of LANs that swap names, as after a reboot or with a second USB adapter: the MAC goes before the name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from treecast.adapters.bridge_record import BridgeRecord, PacketPortRecord, load_packet_ports, write_packet_ports
from treecast.adapters.packet_port import add_packet_port
from treecast.daemon.lan_faults import renamed

ONE, TWO, THREE = (f"02:00:00:00:00:0{number}" for number in (1, 2, 3))

Machine = Callable[[dict[str, str]], None]


@pytest.fixture(autouse=True)
def without_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treecast.adapters.packet_port._require_usable", lambda *_: None)
    monkeypatch.setattr("treecast.adapters.packet_port.open_packet_socket", lambda _: -1)
    monkeypatch.setattr("treecast.adapters.packet_port.os.close", lambda _: None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Has interfaces of these names and MACs, and no others, from each call on."""
    sysfs = tmp_path / "sys"
    sysfs.mkdir()
    there: dict[str, str] = {}

    def has(macs: dict[str, str]) -> None:
        for name, mac in macs.items():
            (sysfs / name).mkdir(exist_ok=True)
            (sysfs / name / "address").write_text(f"{mac}\n")
        for gone in there.keys() - macs.keys():
            (sysfs / gone / "address").unlink()
            (sysfs / gone).rmdir()
        there.clear()
        there.update(macs)

    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", sysfs)
    for module in ("adapters.bridge_record", "daemon.lan_faults"):
        monkeypatch.setattr(f"treecast.{module}.index_of", lambda name: int(name in there))
    return has


def test_a_packet_port_is_the_interface_of_its_mac_though_another_has_its_name_now(machine: Machine) -> None:
    port = PacketPortRecord("lan0", mac=ONE)
    machine({"lan0": TWO, "lan1": ONE})
    assert port.interfaces_now() == ["lan1"]
    machine({"lan0": TWO, "lan1": THREE})
    assert port.interfaces_now() == ["lan0"], "it was exchanged, or makes up its MAC anew as Wi-Fi does"
    machine({"lan0": TWO, "lan1": ONE, "lan2": ONE})
    assert port.interfaces_now() == ["lan1", "lan2"], "somebody has to say which"
    machine({"lan0": ONE, "lan1": ONE})
    assert port.interfaces_now() == ["lan0"]
    machine({"lan1": TWO})
    assert port.interfaces_now() == []


def test_of_two_packet_ports_the_one_whose_mac_it_is_has_the_surer_claim(machine: Machine) -> None:
    one, two, nameless = PacketPortRecord("lan0", mac=ONE), PacketPortRecord("lan1", mac=TWO), PacketPortRecord("lan2")
    machine({"lan0": TWO, "lan1": ONE, "lan2": THREE})
    assert [(one.claim(name), two.claim(name)) for name in ("lan0", "lan1", "lan2")] == [(1, 2), (2, 1), (0, 0)]
    assert (nameless.claim("lan2"), nameless.claim("lan0")) == (3, 0)
    machine({"lan0": ONE, "lan1": TWO})
    assert (one.claim("lan0"), two.claim("lan0")) == (3, 0)


def test_a_bridged_interface_is_that_of_its_mac_and_its_old_name_means_the_other(machine: Machine) -> None:
    record = BridgeRecord("lan0", "tcbr-lan0", ONE, "treecast0", 1374, [], [])
    machine({"lan0": TWO, "lan1": ONE})
    assert record.interface_now == "lan1"
    assert [name for name in ("lan0", "lan1") if record.is_of(name)] == ["lan1"]
    machine({"lan0": TWO})
    assert (record.interface_now, record.is_of("lan0")) == ("lan0", True)


def test_a_port_in_the_bridge_stays_it_under_its_name_whatever_mac_it_was_given(
    machine: Machine, tmp_path: Path
) -> None:
    machine({"lan0": TWO, "lan1": ONE})
    (tmp_path / "sys" / "tcbr-lan0" / "brif" / "lan0").mkdir(parents=True)
    assert BridgeRecord("lan0", "tcbr-lan0", ONE, "treecast0", 1374, [], []).interface_now == "lan0"


@pytest.mark.parametrize(
    ("known", "added", "then"),
    [
        ([("lan0", ONE)], ("lan1", ONE), [("lan1", ONE)]),
        ([("lan0", ONE)], ("lan0", TWO), [("lan1", ONE), ("lan0", TWO)]),
        ([("lan0", ONE), ("lan1", TWO)], ("lan1", ONE), [("lan0", TWO), ("lan1", ONE)]),
        ([("lan0", ONE), ("lan1", TWO)], ("lan0", TWO), [("lan1", ONE), ("lan0", TWO)]),
        ([("lan0", THREE)], ("lan0", TWO), [("lan0", TWO)]),
    ],
    ids=["known by its name now", "the other too", "one of both", "the other of both", "exchanged"],
)
def test_adding_one_by_its_name_now_loses_no_other(
    machine: Machine,
    tmp_path: Path,
    known: list[tuple[str, str]],
    added: tuple[str, str],
    then: list[tuple[str, str]],
) -> None:
    machine({"lan0": TWO, "lan1": ONE})
    write_packet_ports(tmp_path, [PacketPortRecord(name, mac=mac) for name, mac in known])
    add_packet_port(tmp_path, "treecast0", PacketPortRecord(added[0], mac=added[1]), lambda _: None)
    assert [(port.interface, port.mac) for port in load_packet_ports(tmp_path)] == then


def test_three_that_have_gone_round_keep_their_records(machine: Machine, tmp_path: Path) -> None:
    machine({"lan0": THREE, "lan1": ONE, "lan2": TWO})
    macs = (ONE, TWO, THREE)
    write_packet_ports(tmp_path, [PacketPortRecord(f"lan{number}", mac=mac) for number, mac in enumerate(macs)])
    add_packet_port(tmp_path, "treecast0", PacketPortRecord("lan1", mac=ONE), lambda _: None)
    ports = {port.interface: port.mac for port in load_packet_ports(tmp_path)}
    assert ports == {"lan0": THREE, "lan1": ONE, "lan2": TWO}


def test_a_swapped_name_is_said_with_both_interfaces_and_no_command_that_cannot_work(machine: Machine) -> None:
    machine({"lan0": TWO, "lan1": ONE})
    problem = renamed(Path("n1"), "lan0", "lan1", "--packet")
    assert problem.text == (
        "lan0 is, by its MAC, called lan1 now, and another interface lan0; the LAN of lan1 is carried, as before: "
        "treecast bridge add n1 lan1 --packet has the node remember lan1; to carry that of lan0 instead, treecast "
        "bridge remove n1 lan1, and add lan0"
    )
    machine({"lan1": ONE})
    assert "ip link set lan1 down" in renamed(Path("n1"), "lan0", "lan1", "--packet").text
