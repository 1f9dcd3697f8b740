"""Output of a running node's verbs for scripts: the promised fields, others may be added,
and values that follow what happens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, PROGRAM, Overlay, TreecastNode
from tests.lab.overlay.asking import grown, wait_members, wait_received

GROUP = "239.40.0.1"
UNWANTED = "239.40.0.2"
PORT = 5010
COUNT = 500


def ask(node: TreecastNode, verb: str) -> Any:
    return json.loads(node.machine.run([PROGRAM, verb, node.directory, "--json"]).stdout)


def test_status_has_its_fields_and_its_counters_and_drops_grow(mesh: Overlay) -> None:
    before = ask(mesh[0], "status")
    promised = {"node", "node_id", "network", "interface", "ipv4", "ipv6", "uptime_s", "peers", "counters", "drops"}
    assert set(before) >= promised | {"listening", "workers", "offloads", "unreached"}
    assert (before["node"], before["network"], before["interface"]) == ("n0", "lab", INTERFACE)
    assert (before["ipv4"], before["ipv6"], before["peers"]) == (mesh[0].ipv4, mesh[0].ipv6, 3)
    assert len(bytes.fromhex(before["node_id"])) == 16
    assert before["unreached"] == []
    sent = Sender(mesh[0].machine, UNWANTED, PORT, interface=INTERFACE, rate_pps=2000, count=COUNT).wait(10.0)
    assert sent.sent == COUNT
    after = ask(mesh[0], "status")
    assert after["uptime_s"] > before["uptime_s"]
    assert after["drops"]["no_subscriber"] - before["drops"].get("no_subscriber", 0) == COUNT
    counted = grown(before["counters"], after["counters"])
    assert counted["tap_rx_frames"] >= COUNT
    assert all(isinstance(count, int) and count > 0 for count in counted.values())


def test_peers_has_its_fields_and_counts_what_goes_to_each(mesh: Overlay) -> None:
    wait_until(lambda: all(peer["rtt_ms"] is not None for peer in ask(mesh[0], "peers")), 10.0, "round-trip times")
    before = {peer["name"]: peer for peer in ask(mesh[0], "peers")}
    assert set(before) == {"n1", "n2", "n3"}
    for name, peer in before.items():
        assert set(peer) >= {"name", "node_id", "endpoint", "state", "rtt_ms", "rx_bytes", "tx_bytes"}
        assert peer["state"] == "up"
        assert 0 < peer["rtt_ms"] / 1000 < ask(mesh[0], "status")["uptime_s"]
        node = next(node for node in mesh.nodes if node.name == name)
        assert peer["endpoint"] in (node.endpoint, f"[{node.machine.underlay_ipv6}]:7700")
    receiver = Receiver(mesh[2].machine, GROUP, PORT, interface=INTERFACE)
    wait_members(mesh[0], GROUP, {"n2"})
    Sender(mesh[0].machine, GROUP, PORT, interface=INTERFACE, rate_pps=2000, count=COUNT).wait(10.0)
    wait_received(receiver, COUNT)
    assert receiver.stop().received == COUNT
    after = {peer["name"]: peer for peer in ask(mesh[0], "peers")}
    grew = {name: after[name]["tx_bytes"] - before[name]["tx_bytes"] for name in after}
    assert grew["n2"] > COUNT * 1200
    assert max(grew["n1"], grew["n3"]) < COUNT * 1200 // 10
    assert all(after[name]["rx_bytes"] >= before[name]["rx_bytes"] for name in after)


@pytest.mark.parametrize("specific", [False, True])
def test_groups_has_its_fields_at_the_root_and_at_the_subscriber(mesh: Overlay, specific: bool) -> None:
    group, sources = ("232.40.0.3", [mesh[0].ipv4]) if specific else ("239.40.0.3", [])
    receiver = Receiver(mesh[1].machine, group, PORT, interface=INTERFACE, sources=sources)
    wait_members(mesh[0], group, {"n1"})
    Sender(mesh[0].machine, group, PORT, interface=INTERFACE, rate_pps=2000, count=COUNT).wait(10.0)
    wait_received(receiver, COUNT)
    (root,) = [row for row in ask(mesh[0], "groups") if row["group"] == group]
    (member,) = [row for row in ask(mesh[1], "groups") if row["group"] == group]
    mode = "include" if specific else "exclude"
    for row in (root, member):
        fields = {"group", "source", "members", "local", "rx_packets", "rx_bytes", "tx_packets", "tx_bytes"}
        assert set(row) >= fields
        assert row["source"] == (mesh[0].ipv4 if specific else "*")
        (listed,) = row["members"]
        assert listed["since_s"] > 0
        wanted = {"node": "n1", "filter_mode": mode, "sources": sources, "since_s": 0, "permitted": True}
        assert listed | {"since_s": 0} == wanted
    assert (root["local"], member["local"]) == (False, True)
    assert (root["tx_packets"], root["rx_packets"]) == (COUNT, 0)
    assert root["tx_bytes"] == COUNT * (1200 + 42)
    assert (member["tx_packets"], member["tx_bytes"]) == (0, 0)
    assert member["rx_packets"] == COUNT, "those that came before the tree's key too"
    assert member["rx_bytes"] == COUNT * (1200 + 42)
    receiver.stop()


def test_hosts_lists_each_node_s_own_interface(mesh: Overlay) -> None:
    rows = ask(mesh[3], "hosts")
    uptime_s = ask(mesh[3], "status")["uptime_s"]
    assert {row["node"] for row in rows} == {"n0", "n1", "n2", "n3"}
    for row in rows:
        assert set(row) == {
            *("mac", "ip", "node", "age_s"),
            *("port", "vlan", "router", "moves", "duplicate", "conflicts", "name", "unreachable", "own"),
        }
        assert row["port"] == (0 if row["node"] == "n3" else None)
        assert (row["vlan"], row["moves"], row["duplicate"], row["conflicts"]) == (0, 0, False, [])
        node = next(node for node in mesh.nodes if node.name == row["node"])
        assert {node.ipv4, node.ipv6} <= set(row["ip"])
        assert row["mac"].startswith("02:54:")
        assert row["age_s"] == 0 if row["node"] == "n3" else 0 < row["age_s"] <= uptime_s


def test_tables_for_people_name_every_peer_group_and_host(mesh: Overlay) -> None:
    receiver = Receiver(mesh[1].machine, GROUP, PORT, interface=INTERFACE)
    wait_members(mesh[0], GROUP, {"n1"})
    for verb, words in (
        ("status", ["n0", "lab", mesh[0].ipv4, mesh[0].ipv6]),
        ("peers", ["n1", "n2", "n3"]),
        ("groups", [GROUP, "n1"]),
        ("hosts", [mesh[1].ipv4, mesh[2].ipv4, "n3"]),
    ):
        table = mesh[0].machine.run([PROGRAM, verb, mesh[0].directory]).stdout
        assert all(word in table for word in words), table
    receiver.stop()
