"""The interface's own addresses, routes and connections survive being bridged, being unbridged, and a crash."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import partial

from lab import wait_until
from lab.node import PROGRAM, TreecastNode
from lab.sites import Sites, verb
from tests.lab.overlay.machines import ping, talk
from tests.lab.switch.interface_state import (
    carried,
    connection,
    exchange,
    ipv4_of,
    last_told,
    overlays,
    snoops,
    spoil_ports_of,
)
from treecast.adapters.interface import source_addresses
from treecast.api.client import fetch_status
from treecast.base.addresses import Endpoint

LIMIT_S = 15.0


def test_connections_through_the_interface_go_on_while_it_is_bridged_and_unbridged(apart: Sites) -> None:
    node, lan = apart.overlay[0], apart.lans[0]
    machine, admin = node.machine, lan.hosts[0]
    lan6 = str(machine.ports[1].ipv6.ip)
    machine.run(["ip", "route", "add", "203.0.113.0/24", "via", lan.host_ipv4(1), "metric", "77"])
    machine.run(["ip", "route", "add", "default", "via", lan.host_ipv4(1), "metric", "100"])
    machine.run(["ip", "-6", "route", "add", "default", "via", str(admin.ports[0].ipv6.ip), "metric", "200"])
    before = carried(machine)
    with connection(admin, machine, lan.host_ipv4(254)) as over4, connection(admin, machine, lan6) as over6:
        apart.bridge(0)
        bridged = carried(machine)
        for ends in (over4, over6):
            exchange(ends)
        assert "is bridged already" in apart.bridge(0)
        assert carried(machine) == bridged
        assert "eth1 is on its own again" in verb(node, "remove", "eth1")
        for ends in (over4, over6):
            exchange(ends)
    assert carried(machine) == before
    again = machine.run([PROGRAM, "bridge", "remove", node.directory, "eth1"], check=False)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "treecast: eth1 is not bridged by this node, nor is any other interface\n"
    assert f"default via {lan.host_ipv4(1)} dev tcbr-eth1 metric 100" in bridged
    assert any(line.startswith("203.0.113.0/24") and "dev tcbr-eth1" in line for line in bridged)
    assert not [line for line in bridged if line.startswith("eth1 ")]
    talk(machine, apart.overlay[1].ipv4)  # the TAP has its own again
    for route in (
        ["-4", "route", "del", "203.0.113.0/24"],
        ["-4", "route", "del", "default"],
        ["-6", "route", "del", "default"],
    ):
        machine.run(["ip", *route])


def test_a_bridged_interface_that_carries_the_underlay_keeps_the_links(apart: Sites) -> None:
    one, other = apart.overlay.nodes
    talk(other.machine, one.ipv4)
    verb(one, "add", "eth0")
    talk(other.machine, one.ipv4)
    assert other.peers()[0].state == "up"
    verb(one, "remove", "eth0")
    talk(other.machine, one.ipv4)


def test_a_killed_node_leaves_its_machine_reachable_and_bridges_again_when_it_starts(apart: Sites) -> None:
    node, lan = apart.overlay[0], apart.lans[0]
    admin = lan.hosts[0]
    apart.bridge(0)
    apart.bridge(1)
    bridged = carried(node.machine)
    with connection(admin, node.machine, lan.host_ipv4(254)) as ends:
        for options in (["--keep-interface"], []):  # the interface is made; the one that stayed is taken
            node.kill()
            exchange(ends)
            ping(admin, lan.host_ipv4(254))
            node.start(apart.overlay[1].endpoint, options=options)
            node.wait_ready()
            node.wait_linked({"n1"})
            exchange(ends)
            assert carried(node.machine) == bridged
    assert '"tcbr-eth1"' in verb(node, "show", "--json")
    node.wait_logged("reach 224.0.0.0/4, ff00::/8 by tcbr-eth1 now")
    talk(admin, apart.lans[1].host_ipv4(2))
    talk(node.machine, apart.overlay[1].ipv4)
    node.stop()
    ping(admin, lan.host_ipv4(254))
    assert "eth1 is on its own again" in verb(node, "remove", "eth1")  # nothing runs: it works all the same
    ping(admin, lan.host_ipv4(254))
    assert "tcbr" not in node.machine.run(["ip", "-o", "link"]).stdout
    verb(apart.overlay[1], "remove", "eth1")
    node.start(apart.overlay[1].endpoint)
    node.wait_ready()
    apart.overlay.wait_linked()


def test_a_bridge_that_others_took_apart_is_a_problem_until_it_is_mended(one: TreecastNode) -> None:
    apart_before = carried(one.machine)
    verb(one, "add", "eth1")
    before = carried(one.machine)
    one.machine.run(["ip", "link", "set", "treecast0", "nomaster"])

    def said() -> dict[tuple[str, str], str]:
        return {(problem.kind, problem.subject): problem.text for problem in fetch_status(one.directory).problems}

    wait_until(lambda: ("bridge_broken", "eth1") in said(), LIMIT_S, "it is a problem")
    assert len(said()) == 1, "no other advice stands beside it"
    assert said()["bridge_broken", "eth1"] == (
        "treecast0 is not in tcbr-eth1, so the LAN of eth1 is not carried: run treecast bridge add "
        f"{one.directory} eth1, which mends it or says why not"
    )
    shown = " ".join(verb(one, "show").split())
    assert "down: treecast0 is not in tcbr-eth1, so the LAN of eth1 is not carried" in shown
    verb(one, "add", "eth1")
    wait_until(lambda: not said(), LIMIT_S, "it is mended")
    wait_until(lambda: carried(one.machine) == before, LIMIT_S, "it is as before")
    one.machine.run(["ip", "addr", "flush", "dev", "tcbr-eth1", "label", "tcbr-eth1:tc"])
    wait_until(lambda: carried(one.machine) == before, LIMIT_S, "what it has lost is put back")
    one.machine.run(["ip", "link", "set", "tcbr-eth1", "type", "bridge", "mcast_snooping", "1"])
    wait_until(lambda: not snoops(one, "tcbr-eth1"), LIMIT_S, "a bridge of the node's does not snoop")
    said_of_it = '"tcbr-eth1 had been set to mcast_snooping 1: set back" interface=tcbr-eth1'
    wait_until(lambda: said_of_it in one.log_tail(), LIMIT_S, "it is said of the bridge, and of nothing else")
    spoil_ports_of(one, ("eth1", "treecast0"), lambda: said().get(("bridge_broken", "eth1"), ""))
    wait_until(lambda: not said(), LIMIT_S, "both are mended")
    past = ["10.77.0.0/24", "dev", one.machine.underlay_interface]
    one.machine.run(["ip", "route", "add", *past])
    wait_until(lambda: [kind for kind, _ in said()] == ["overlay_route_elsewhere"], LIMIT_S, "past the overlay")
    one.machine.run(["ip", "route", "del", *past])
    wait_until(lambda: not said(), LIMIT_S, "and by it again")
    overlay = overlays(one, before)
    one.machine.run(["ip", "link", "set", "tcbr-eth1", "down"])
    wait_until(lambda: ("lan_down", "tcbr-eth1") in said(), LIMIT_S, "its routes are gone for longer than a moment")
    one.machine.run(["ip", "link", "set", "tcbr-eth1", "up"])
    wait_until(lambda: overlays(one, carried(one.machine)) == overlay, LIMIT_S, "they come back with it")
    verb(one, "remove", "eth1")
    assert overlays(one, carried(one.machine)) == overlays(one, apart_before)


def test_a_bridge_that_was_deleted_gives_the_machine_its_addresses_back(one: TreecastNode) -> None:
    """Link-local ones go with the interface's being down and up."""
    machine = one.machine
    machine.run(["ip", "route", "add", "203.0.113.0/24", "via", "10.99.1.1", "dev", "eth1", "metric", "77"])
    before = carried(machine)
    verb(one, "add", "eth1")
    gone = "tcbr-eth1 had been deleted, with this machine's addresses on it: "
    for word, result in (
        ("add", f"eth1 is bridged again, by tcbr-eth1\n{gone}tcbr-eth1 has "),
        ("remove", f"eth1 is on its own again\n{gone}eth1 has "),
    ):
        machine.run(["ip", "link", "del", "tcbr-eth1"])
        lost = "tcbr-eth1 is gone, and with it this machine's addresses on the LAN (198.18.1.3 10.99.1.254"
        wait_until(partial(is_said, one, lost), LIMIT_S, "it is said")
        assert f"down: {lost}" in " ".join(verb(one, "show").split())
        said = verb(one, word, "eth1")
        assert said.startswith(result)
        assert {"10.99.1.254/16", "203.0.113.0/24"} <= set(said.split())

    def lan_of(lines: list[str]) -> list[str]:
        kept = [line for line in lines if "treecast0" not in line and "fe80" not in line]
        return [line.replace(" proto static", "") for line in kept]

    now = carried(machine)
    assert lan_of(now) == lan_of(before)
    assert overlays(one, now) == overlays(one, before), "the overlay's are back when the verb has ended"
    machine.run(["ip", "route", "del", "203.0.113.0/24"])


def is_said(node: TreecastNode, text: str) -> bool:
    """A problem of the node's begins so."""
    return any(problem.text.startswith(text) for problem in fetch_status(node.directory).problems)


def test_a_bridged_interface_that_was_renamed_is_followed(apart: Sites, one: TreecastNode) -> None:
    machine = one.machine
    before = carried(machine)

    def rename(old: str, new: str) -> None:
        machine.run(["sh", "-ec", f"ip link set {old} down; ip link set {old} name {new}; ip link set {new} up"])

    def problems() -> list[tuple[str, str]]:
        return [(problem.kind, problem.subject) for problem in fetch_status(one.directory).problems]

    verb(one, "add", "eth1")
    rename("eth1", "foo")
    wait_until(lambda: problems() == [("interface_renamed", "foo")], LIMIT_S, "its LAN is carried, and it is said")
    (problem,) = fetch_status(one.directory).problems
    machine.run(["sh", "-ec", problem.text.rsplit(": ", 1)[1]])
    wait_until(lambda: not problems(), LIMIT_S, "it is as before")
    rename("eth1", "foo")
    for name in ("eth1", "foo"):
        assert json.loads(verb(one, "show", "--json"))["interface"] == "foo"
        assert verb(one, "remove", name) == "foo is on its own again\n", "by either name"
        assert "10.99.1.254" in machine.run(["ip", "addr", "show", "foo"]).stdout
        rename("foo", "eth1")
        verb(one, "add", "eth1")
        rename("eth1", "foo")
    wait_until(lambda: problems() == [("interface_renamed", "foo")], LIMIT_S, "it is said again")
    assert verb(one, "add", "foo") == "foo is bridged already, by tcbr-eth1\n"
    wait_until(lambda: not problems(), LIMIT_S, "the node remembers the new name")
    one.stop()
    rename("foo", "eth1")
    one.start(apart.overlay[1].endpoint)
    one.wait_ready()
    wait_until(lambda: problems() == [("interface_renamed", "eth1")], LIMIT_S, "it is found under its new name")
    one.wait_logged("foo is called eth1 now")
    assert verb(one, "remove", "foo") == "eth1 is on its own again\n", "by the name before, too"
    wait_until(lambda: ipv4_of(carried(machine)) == ipv4_of(before), LIMIT_S, "it is as it was")


def test_a_lan_whose_interface_or_bridge_is_down_or_unplugged_is_a_problem(one: TreecastNode) -> None:
    def ip(*words: str) -> None:
        one.machine.run(["ip", "link", *words])

    def said() -> dict[str, str]:
        return {p.subject: p.text for p in fetch_status(one.directory).problems if p.kind == "lan_down"}

    def is_said_of(subjects: Collection[str]) -> bool:
        return said().keys() == subjects

    ip("add", "lan0", "up", "type", "veth", "peer", "name", "far0")
    ip("set", "far0", "up")
    verb(one, "add", "lan0")
    verb(one, "add", "eth1", "--packet")
    for changes, texts in (
        (
            ("far0", "eth1"),
            {
                "lan0": "lan0 is unplugged (it has no carrier), so the LAN of lan0 is not carried: see to its cable",
                "eth1": "eth1 is down, so the LAN of eth1 is not carried: ip link set eth1 up",
            },
        ),
        (("lan0",), {"lan0": "lan0 is down, so the LAN of lan0 is not carried: ip link set lan0 up"}),
        (("tcbr-lan0",), {"tcbr-lan0": "tcbr-lan0 is down, so the LAN of lan0 is not carried: ip link set tcbr-lan0"}),
    ):
        for name in changes:
            ip("set", name, "down")
        wait_until(partial(is_said_of, texts.keys()), LIMIT_S, f"{changes} down is a problem")
        assert all(said()[subject].startswith(text) for subject, text in texts.items()), said()
        assert {p.kind for p in fetch_status(one.directory).problems} == {"lan_down"}, "one cause is one problem"
        shown = " ".join(verb(one, "show").split())
        assert [shown.count(f"down: {text}") for text in texts.values()] == [1] * len(texts), shown
        for name in changes:
            ip("set", name, "up")
        wait_until(lambda: not said(), LIMIT_S, "it is over")
    verb(one, "remove", "eth1")
    verb(one, "remove", "lan0")
    ip("del", "lan0")


def test_a_node_tells_others_no_addresses_of_the_lan_it_shares(apart: Sites) -> None:
    node = apart.overlay[0]
    machine, lan, extra = node.machine, {"10.99.1.254", "198.18.1.3"}, "192.0.2.77"
    machine.run(["ip", "address", "add", f"{extra}/32", "dev", machine.underlay_interface])  # so that it tells all once
    wait_until(lambda: {extra, *lan} <= last_told(node), LIMIT_S, "it tells all")
    verb(node, "add", "eth1")
    wait_until(lambda: not last_told(node) & lan, LIMIT_S, "it tells the underlay's only")
    assert {"198.18.0.1", "2001:db8::1", extra} <= last_told(node)
    verb(node, "remove", "eth1")
    wait_until(lambda: lan <= last_told(node), LIMIT_S, "it tells all again")
    machine.run(["ip", "address", "del", f"{extra}/32", "dev", machine.underlay_interface])


def test_where_datagrams_would_leave_from_is_known_without_sending_any(apart: Sites) -> None:
    machine, other = apart.overlay[0].machine, apart.overlay[1].machine
    with machine.enter():
        ends = [Endpoint.parse(f"{other.underlay_ipv4}:7700"), Endpoint.parse(f"[{other.underlay_ipv6}]:7700")]
        assert {str(address) for address in source_addresses(ends)} == {machine.underlay_ipv4, machine.underlay_ipv6}
        assert source_addresses([Endpoint.parse("192.0.2.1:7700")]) == set()  # there is no route
