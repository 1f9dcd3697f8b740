"""The bridge verbs where there is nothing to bridge with: one sentence, and nothing touched."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner, Result

from tests.unit.api.serving import serving
from treecast.adapters import clock, packet_port, storage
from treecast.adapters.bridge import bridge_name
from treecast.adapters.bridge_record import (
    BridgeRecord,
    PacketPortRecord,
    load_packet_ports,
    load_record,
    write_packet_ports,
    write_record,
)
from treecast.adapters.link import taken
from treecast.adapters.packet_port import remove_packet_port
from treecast.adapters.sysfs import distinct_mac, is_wireless, sends_own_frames_only
from treecast.api.bridge_records import Bridge, PacketPort, Storm
from treecast.api.records import Answer, Verb
from treecast.base.errors import OperatorError
from treecast.base.keep_local import KEEP_ALL, KEEP_NOTHING, KeepLocal
from treecast.base.limits import MAX_PACKET_PORTS
from treecast.cli.main import app
from treecast.cli.values import keep_local
from treecast.identity.node import NodeRequest
from treecast.identity.rights import NO_ROLES, Role

WRONG_MAC = (
    b'{"packet_ports":[],"bridge":{"interface":"eth0","bridge":"tcbr-eth0","mac":"zz","tap":"t","tap_mtu":1374,'
    b'"addresses":[],"routes":[]}}'
)

ALICE = NodeRequest("alice", None, None, 30, roles=Role.BRIDGE | Role.RELAY)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)
    storage.add_node(tmp_path / "lab", tmp_path / "alice", ALICE, 1_800_000_000.0)
    return tmp_path / "alice"


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bridge", *map(str, arguments)])


def test_adding_needs_a_running_node(node: Path) -> None:
    result = _run("add", node, "eth0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"treecast: no node is running in {node}: start it with treecast up {node}\n"
    assert load_record(node) is None


@pytest.mark.parametrize("option", [[], ["--packet"]])
def test_a_node_without_the_role_is_told_how_to_get_it(
    node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _renew("--role", "relay")
    result = _run("add", node, "eth0", *option)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "treecast: node alice has not the role bridge, without which it may not carry a LAN: where the CA key is, run "
        f"treecast node renew alice --role bridge,relay, and put the new node.cert into {node}\n"
    )
    _renew("--role", "bridge,relay")
    assert "no node is running" in _run("add", node, "eth0", *option).stderr


def _renew(*options: str) -> None:
    """Renews the certificate in the node's own directory, by the words that the refusal has."""
    done = CliRunner().invoke(app, ["node", "renew", "alice", *options, "--network", "lab"])
    assert done.exit_code == 0, done.stderr


def test_a_node_whose_lans_are_remembered_does_not_start_without_the_role(
    node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage.renew_node(tmp_path / "lab", node, "alice", 30, NO_ROLES, clock.unix_s())
    write_packet_ports(node, [PacketPortRecord("wlan0")])
    result = CliRunner().invoke(app, ["up", str(node)])
    assert result.exit_code == 1
    assert "treecast node renew alice --role bridge, and put" in result.stderr


def test_a_forgotten_interface_is_asked_for_by_the_name_of_what_is_bridged(node: Path) -> None:
    sentence = f"treecast: {node} is a directory, and the interface is not named: treecast bridge"
    for verb in ("add", "remove"):
        result = _run(verb, node)
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{sentence} {verb} {node} INTERFACE\n")
    write_record(node, BridgeRecord("eth0", "tcbr-eth0", "02:00:00:00:00:01", "treecast0", 1374, [], []))
    assert _run("remove", node).stderr == f"{sentence} remove {node} eth0\n"
    write_packet_ports(node, [PacketPortRecord("wlan0")])
    assert _run("remove", node).stderr == f"{sentence} remove {node} INTERFACE, one of eth0, wlan0\n"
    assert _run("add", node).stderr == f"{sentence} add {node} INTERFACE\n"


def test_a_packet_port_too_many_is_refused_before_its_interface_is_opened(
    node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packet_port, "_require_usable", lambda *_: None)
    known = [PacketPortRecord(f"wlan{number}") for number in range(MAX_PACKET_PORTS)]
    write_packet_ports(node, known)
    with pytest.raises(OperatorError, match="this node has 3 packet ports already: remove one first"):
        packet_port.add_packet_port(node, "treecast0", PacketPortRecord("wlan9"), lambda _: None)
    assert load_packet_ports(node) == known


def test_a_directory_beside_one_of_an_interface_s_name_does_not_hide_the_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TREECAST_DIR", str(tmp_path / "nothing"))
    for name in ("lo", "home"):
        (tmp_path / name).mkdir()
    assert "there is no node" in _run("remove", "lo").stderr
    assert _run("remove", "home").stderr.startswith("treecast: home is a directory, and the interface is not named: ")


def test_a_directory_that_is_no_nodes_is_refused(tmp_path: Path) -> None:
    for verb in ("add", "remove"):
        assert _run(verb, tmp_path, "eth0").exit_code == 1
    assert "is not a node's directory" in _run("show", tmp_path).stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"interface": "eth0"}', b"\xff\xfe", WRONG_MAC])
def test_a_damaged_record_is_one_sentence(node: Path, content: bytes) -> None:
    (node / "bridge.json").write_bytes(content)
    with pytest.raises(OperatorError, match=r"bridge\.json is damaged"):
        load_record(node)
    result = _run("remove", node, "eth0")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("option", ["--broadcast-pps", "--multicast-pps", "--unknown-unicast-pps"])
@pytest.mark.parametrize("value", ["-1", "x", "10000001"])
def test_a_limit_that_is_none_is_refused(node: Path, option: str, value: str) -> None:
    assert _run("add", node, "eth0", option, value).exit_code == 2


@pytest.mark.parametrize("text", ["", "all", "ra,none", "dhcp ra", "none,none"])
def test_what_cannot_be_kept_local_is_refused_with_one_sentence(node: Path, text: str) -> None:
    result = _run("add", node, "eth0", "--keep-local", text)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "give ra, dhcp, both with a comma between, or none" in result.stderr


def test_what_is_kept_local_may_be_said_in_several_options(node: Path) -> None:
    assert keep_local(["ra", "dhcp"]) == KEEP_ALL
    assert keep_local(["dhcp", "dhcp"]) == KeepLocal(ra=False, dhcp=True)
    result = _run("add", node, "eth0", "--keep-local", "ra", "--keep-local", "none")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "'ra,none': give ra, dhcp, both with a comma between, or none" in result.stderr


def test_what_is_kept_local_is_remembered_and_is_both_where_nothing_was_said(node: Path) -> None:
    fields = ("eth0", "tcbr-eth0", "02:00:00:00:00:01", "treecast0", 1374)
    cases: list[tuple[KeepLocal, tuple[Literal["ra", "dhcp"], ...]]] = [
        (KeepLocal(ra=True, dhcp=False), ("ra",)),
        (KEEP_NOTHING, ()),
    ]
    for kept, words in cases:
        assert kept == keep_local([",".join(words) or "none"])
        write_record(node, BridgeRecord(*fields, [], [], keep_local=words))
        write_packet_ports(node, [PacketPortRecord("wlan0", keep_local=words)])
        record = load_record(node)
        assert record is not None
        assert (record.kept(), load_packet_ports(node)[0].kept()) == (kept, kept)
    assert BridgeRecord(*fields, [], []).kept() == PacketPortRecord("wlan0").kept() == KEEP_ALL
    assert keep_local(["dhcp, ra"]) == keep_local(None) == KEEP_ALL


def test_show_says_what_stays_on_the_lan(node: Path) -> None:
    ports = [PacketPort("wlan0", 1, "forwarding", keep_local=["ra"])]
    kept = {"ra": 7, "dhcp": 0}
    bridge = Bridge("eth0", "tcbr-eth0", packet_ports=ports, keep_local=["ra", "dhcp"], kept_local=kept)
    with serving(node, lambda verb: bridge):
        lines = _run("show", node).stdout.splitlines()
    assert [line.split()[2:] for line in lines if "keeps local" in line] == [["ra,", "dhcp"], ["ra"]]
    assert lines[-1] == "Frames that stayed on their LANs: 7 of ra"


def test_show_says_what_the_running_node_says(node: Path) -> None:
    asked: list[Verb] = []

    def answer(verb: Verb) -> Answer:
        asked.append(verb)
        return Bridge(interface="eth0", bridge="tcbr-eth0")

    with serving(node, answer):
        assert "eth0" in _run("show", node).stdout
        assert '"bridge": "tcbr-eth0"' in _run("show", node, "--json").stdout
    assert asked == [Verb.BRIDGE, Verb.BRIDGE]
    with serving(node, lambda verb: Bridge(interface="", bridge="")):
        assert _run("show", node).stdout == "nothing is bridged\n"


def test_show_explains_the_state_and_the_limits_of_each_lan(node: Path) -> None:
    storms = [Storm("broadcast", 1000, 7), Storm("multicast", None, 0), Storm("unknown_unicast", 100, 0)]
    port = PacketPort("wlan0", 1, "silent", looped=True, why="its own beacons come back")
    answer = Bridge(
        interface="eth0",
        bridge="tcbr-eth0",
        state="capable",
        forwarder="alice",
        nodes=["alice"],
        packet_ports=[port, PacketPort("usb0", None)],
        why="alice forwards (lower index)",
        storms=storms,
        frames_from_lan=12,
        frames_to_lan=34,
        keep_local=["ra", "dhcp"],
    )
    with serving(node, lambda verb: answer):
        lines = [line.rstrip() for line in _run("show", node).stdout.splitlines()]
    assert lines == [
        "eth0, bridged by tcbr-eth0",
        "  state        capable: alice forwards (lower index)",
        "  forwarder    alice",
        "  other nodes  alice",
        "  keeps local  ra, dhcp",
        "  limits       1000/s broadcast (7 dropped), 100/s unknown unicast (0 dropped)",
        "  frames       12 from the LAN and this machine, 34 to them",
        "wlan0, packet port 1",
        "  state        looped: its own beacons come back",
        "  forwarder    -",
        "  other nodes  -",
        "  keeps local  none",
        "  limits       none",
        "usb0, packet port",
        "  state        not open: treecast status says why",
    ]


@pytest.mark.parametrize("entry", ["wireless", "phy80211"])
def test_a_wireless_interface_is_seen_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", tmp_path)
    (tmp_path / "wlan0" / entry).mkdir(parents=True)
    (tmp_path / "eth0").mkdir()
    assert is_wireless("wlan0")
    assert not is_wireless("eth0")


def test_what_to_do_with_an_interface_in_another_depends_on_what_that_is() -> None:
    assert taken("eth0", "bond0", "bond") == "eth0 is in bond0 already: name bond0"
    out = "eth0 is in up0 already: take it out first (ip link set eth0 nomaster)"
    assert taken("eth0", "up0", "vrf") == out
    assert taken("eth0", "up0", "bridge").startswith(f"{out}, or give up0 a port for this (ip link add tc0 ")


def test_wifi_and_bluetooth_interfaces_get_a_packet_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", tmp_path)
    (tmp_path / "wlan0" / "phy80211").mkdir(parents=True)
    for name, kind in (("bnep0", "DEVTYPE=bluetooth\n"), ("eth0", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "uevent").write_text(f"{kind}INTERFACE={name}\n")
    assert [sends_own_frames_only(name) for name in ("wlan0", "bnep0", "eth0", "none")] == [True, True, False, False]


def test_a_bridged_interface_is_known_by_its_old_and_by_its_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", tmp_path)
    record = BridgeRecord("eth1", "tcbr-eth1", "02:00:00:00:00:01", "treecast0", 1374, [], [])
    for port, mac in (("lan0", "02:00:00:00:00:01"), ("treecast0", "02:54:00:00:00:01")):
        (tmp_path / "tcbr-eth1" / "brif" / port).mkdir(parents=True)
        (tmp_path / port).mkdir()
        (tmp_path / port / "address").write_text(f"{mac}\n")
    assert record.interface_now == "lan0"
    assert [name for name in ("eth1", "lan0", "treecast0", "eth2") if record.is_of(name)] == ["eth1", "lan0"]
    (tmp_path / "eth1").mkdir()
    assert (record.interface_now, record.is_of("eth1")) == ("lan0", True), "another of that name changes nothing"


def test_an_interface_whose_bridge_was_deleted_is_known_by_its_mac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", tmp_path)
    record = BridgeRecord("eth1", "tcbr-eth1", "02:00:00:00:00:01", "treecast0", 1374, [], [])
    for name in ("eth7", "lan0", "lan0.5", "br0", "port0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "address").write_text("02:00:00:00:00:09\n" if name == "eth7" else "02:00:00:00:00:01\n")
    (tmp_path / "lan0.5" / "lower_lan0").mkdir()
    (tmp_path / "br0" / "bridge").mkdir()
    (tmp_path / "port0" / "master").mkdir()
    assert record.interface_now == "lan0", "no VLAN, bridge or port of one"
    (tmp_path / "twin0").mkdir()
    (tmp_path / "twin0" / "address").write_text("02:00:00:00:00:01\n")
    assert record.interface_now == "eth1", "one of two is none"


def test_a_packet_port_is_known_by_a_mac_that_is_its_alone_and_else_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("treecast.adapters.sysfs.SYSFS", tmp_path)
    mac = "02:00:00:00:00:01"
    for name in ("usb7", "usb7.5", "twin7"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "address").write_text(f"{mac}\n")
    (tmp_path / "usb7.5" / "lower_usb7").mkdir()
    assert [distinct_mac(name) for name in ("usb7", "usb7.5", "usb8")] == [mac, "", ""]
    port = PacketPortRecord("usb8", mac=mac)
    assert port.interfaces_now() == ["twin7", "usb7"]
    (tmp_path / "twin7" / "address").unlink()
    assert port.interfaces_now() == ["usb7"]
    assert PacketPortRecord("lo", mac=mac).interfaces_now() == ["usb7"], "its MAC is worth more"
    assert PacketPortRecord("lo", mac="02:00:00:00:00:02").interfaces_now() == ["lo"], "unless none has it"
    assert PacketPortRecord("usb7.8").interfaces_now() == [], "a VLAN has the MAC of what it is on"
    assert port.identity == PacketPortRecord("usb9", mac=mac).identity != PacketPortRecord("usb8").identity


def test_packet_ports_and_the_bridge_are_remembered_side_by_side(node: Path) -> None:
    bridge = BridgeRecord("eth0", "tcbr-eth0", "02:00:00:00:00:01", "treecast0", 1374, [], [])
    ports = [PacketPortRecord("wlan0"), PacketPortRecord("bnep0", 50)]
    write_packet_ports(node, ports)
    assert (load_record(node), load_packet_ports(node)) == (None, ports)
    write_record(node, bridge)
    assert (load_record(node), load_packet_ports(node)) == (bridge, ports)
    assert remove_packet_port(node, "wlan0")
    assert not remove_packet_port(node, "wlan0")
    write_record(node, None)
    assert (load_record(node), load_packet_ports(node)) == (None, ports[1:])
    assert "bnep0 is on its own again" in _run("remove", node, "bnep0").stdout
    assert not (node / "bridge.json").exists()


def test_bridges_have_names_that_the_kernel_takes() -> None:
    assert bridge_name("eth0") == "tcbr-eth0"
    assert bridge_name("enx0123456789ab") == "tcbr-23456789ab"
    assert len(bridge_name("enx0123456789ab")) == 15


def test_every_bridge_verb_has_help() -> None:
    for verb in ("add", "remove", "show"):
        assert "Usage: " in CliRunner().invoke(app, ["bridge", verb, "--help"]).stdout
