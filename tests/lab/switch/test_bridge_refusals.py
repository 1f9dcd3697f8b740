"""Interfaces that cannot be bridged, and steps that fail: refused in one sentence, and nothing is left behind."""

from __future__ import annotations

import pytest

from lab.node import PROGRAM, TreecastNode
from lab.sites import Sites, verb
from tests.lab.overlay.machines import talk
from tests.lab.switch.interface_state import carried

GIVE_PORT = (
    "give br7 a port for this (ip link add tc0 up type veth peer name tc1; ip link set tc1 up master br7) and name tc0"
)


def test_a_step_that_fails_undoes_those_before_it(apart: Sites) -> None:
    node = apart.overlay[0]
    before = carried(node.machine)
    # The kernel refuses an interface that another program has taken for itself: here one with a macvlan on it.
    node.machine.run(["ip", "link", "add", "mv0", "link", "eth1", "type", "macvlan", "mode", "passthru"])
    links = node.machine.run(["ip", "-o", "link"]).stdout
    done = node.machine.run([PROGRAM, "bridge", "add", node.directory, "eth1"], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("treecast: cannot bridge eth1 (device or resource busy): ")
    assert done.stderr.count("\n") == 1
    node.machine.run(["ip", "link", "del", "mv0"])
    assert carried(node.machine) == before
    assert node.machine.run(["ip", "-o", "link"]).stdout.count("\n") == links.count("\n") - 1
    assert "nothing is bridged" in verb(node, "show")
    talk(node.machine, apart.overlay[1].ipv4)


@pytest.mark.parametrize(
    ("interface", "sentence"),
    [
        ("eth9", "there is no interface eth9"),
        ("lo", "lo is no Ethernet interface"),
        ("treecast0", "treecast0 is the node's own interface"),
        ("br7", f"br7 is a bridge itself, and a bridge cannot be in another: {GIVE_PORT}\n"),
        ("taken0", f"taken0 is in br7 already: take it out first (ip link set taken0 nomaster), or {GIVE_PORT}\n"),
    ],
)
def test_what_cannot_be_bridged_is_refused_in_one_sentence(one: TreecastNode, interface: str, sentence: str) -> None:
    if "br7" not in one.machine.run(["ip", "-o", "link"]).stdout:
        one.machine.run(["ip", "link", "add", "br7", "type", "bridge"])
        one.machine.run(["ip", "link", "add", "taken0", "type", "veth", "peer", "name", "taken1"])
        one.machine.run(["ip", "link", "set", "taken0", "master", "br7"])
    before = carried(one.machine)
    done = one.machine.run([PROGRAM, "bridge", "add", one.directory, interface], check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"treecast: {sentence}")
    assert carried(one.machine) == before


def test_the_lan_of_a_bridge_is_carried_by_a_port_as_its_refusal_says(one: TreecastNode) -> None:
    one.machine.run(["ip", "link", "add", "br8", "type", "bridge"])
    refused = one.machine.run([PROGRAM, "bridge", "add", one.directory, "br8"], check=False).stderr
    one.machine.run(["sh", "-ec", refused.split("(")[1].split(")")[0]])
    verb(one, "add", "tc0")
    verb(one, "remove", "tc0")
    one.machine.run(["ip", "link", "del", "tc0"])
    one.machine.run(["ip", "link", "del", "br8"])


def test_a_second_interface_is_refused_while_the_first_is_bridged(one: TreecastNode) -> None:
    verb(one, "add", "eth1")
    for words, sentence in {
        (
            "add",
            "eth0",
        ): f"this node bridges eth1 already: remove that first ({PROGRAM.name} bridge remove {one.directory} eth1)",
        ("add", "treecast0"): "treecast0 is the node's own interface: name one that leads to a LAN",
        ("add", "tcbr-eth1"): "tcbr-eth1 is this node's own bridge, and eth1 is in it: its LAN is carried already",
        ("add", "eth9"): "there is no interface eth9: ip link lists those there are",
        ("add", "eth1", "--packet"): "this node bridges eth1 already: remove that first",
        (
            "add",
            "tcbr-eth1",
            "--packet",
        ): "tcbr-eth1 is this node's own bridge, and eth1 is in it: its LAN is carried already",
    }.items():
        done = one.machine.run([PROGRAM, "bridge", words[0], one.directory, *words[1:]], check=False)
        assert (done.returncode, done.stderr) == (1, f"treecast: {sentence}\n")
    done = one.machine.run([PROGRAM, "bridge", "remove", one.directory, "eth0"], check=False)
    assert done.stderr == "treecast: this node bridges eth1, not eth0: remove that\n"
    verb(one, "remove", "eth1")


def test_a_bridge_that_others_use_is_not_removed(one: TreecastNode) -> None:
    verb(one, "add", "eth1")
    one.machine.run(["ip", "link", "add", "vm0", "type", "veth", "peer", "name", "vm1"])
    one.machine.run(["ip", "link", "set", "vm0", "master", "tcbr-eth1"])
    done = one.machine.run([PROGRAM, "bridge", "remove", one.directory, "eth1"], check=False)
    assert done.stderr == "treecast: tcbr-eth1 has other ports too (vm0): take them out\n"
    one.machine.run(["ip", "link", "del", "vm0"])
    verb(one, "remove", "eth1")
