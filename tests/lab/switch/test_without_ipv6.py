"""A machine whose IPv6 is off carries LANs whose hosts have IPv6: a switch needs no address to serve them.

::

      h1-1                 h2-1
      eth0                 eth0
     ==++==== LAN 1       ==++==== LAN 2
       ||  eth1, bridged    ||  eth2, a packet port
       ++--------- n0 ------++           n1
                  eth0                  eth0
     ==============++==== underlay =====++====
"""

from __future__ import annotations

from lab import Lab, wait_until
from lab.lan import Lan
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from lab.sites import LIMIT_S, verb
from tests.lab.overlay.asking import wait_members, wait_received
from treecast.api.client import fetch_bridge, fetch_status

GROUP, PORT = "ff15::26", 5026
OPTIONS = ("--membership", "query-response-interval=1s")


def test_hosts_on_a_bridged_lan_and_on_a_packet_port_hear_the_ipv6_group_they_join(lab: Lab) -> None:
    underlay = lab.switch()
    machines = [lab.machine(f"n{number}", underlay) for number in range(2)]
    lans = [Lan(lab, number, hosts=1) for number in (1, 2)]
    bridged, packet = (lan.connect(lab, machines[0]) for lan in lans)
    machines[0].disable_ipv6()
    overlay = Overlay(machines, lab.directory)
    overlay.start(options=OPTIONS)
    node, outside = overlay.nodes
    verb(node, "add", bridged)
    verb(node, "add", packet, "--packet")

    def states() -> list[str]:
        bridge = fetch_bridge(node.directory)
        return [bridge.state, *(port.state for port in bridge.packet_ports)]

    wait_until(lambda: states() == ["forwarding", "forwarding"], LIMIT_S, "both LANs are carried")
    for lan in lans:
        receiver = Receiver(lan.hosts[0], GROUP, PORT, interface="eth0")
        wait_members(outside, GROUP, {"n0"}, LIMIT_S)
        Sender(outside.machine, GROUP, PORT, interface=INTERFACE, rate_pps=500, count=200).wait(LIMIT_S)
        wait_received(receiver, 200)
        account = receiver.stop()
        assert (account.received, account.duplicated) == (200, 0)
        wait_members(outside, GROUP, set(), LIMIT_S)
    assert "membership_wrong_ethertype" not in node.status().drops
    assert "inet6" not in node.machine.run(["ip", "addr"]).stdout


def test_an_interface_whose_ipv6_is_off_is_bridged_and_a_node_s_own_is_taken_without_ipv6(lab: Lab) -> None:
    """The test switches IPv6 off on one interface, as NetworkManager does."""
    machine = lab.machine("n0", lab.switch())
    eth1 = Lan(lab, 1, hosts=1).connect(lab, machine)
    overlay = Overlay([machine], lab.directory)
    (node,) = overlay.nodes
    own = f"{node.ipv6}/64"

    def switch(name: str, *, off: bool) -> None:
        machine.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", int(off))

    def addresses(name: str) -> str:
        return machine.run(["ip", "-6", "addr", "show", "dev", name]).stdout

    def problems() -> list[str]:
        return [problem.text for problem in fetch_status(node.directory).problems]

    def restart() -> None:
        if node.running:
            node.stop()
        node.start(options=(*OPTIONS, "--keep-interface"))
        node.wait_ready()

    restart()
    switch(INTERFACE, off=True)
    (text,) = wait_until(problems, LIMIT_S, "the switch is named")
    assert text.endswith(f"for IPv6 is off on it: sysctl -w net.ipv6.conf.{INTERFACE}.disable_ipv6=0")
    restart()
    wait_until(problems, LIMIT_S, "and after a restart")
    node.wait_logged(f"reach 224.0.0.0/4 by {INTERFACE} now")
    switch(INTERFACE, off=False)
    wait_until(lambda: own in addresses(INTERFACE) and not problems(), LIMIT_S, "the address is back")

    switch(eth1, off=True)
    said = verb(node, "add", eth1)
    bridge = f"tcbr-{eth1}"
    assert f"sysctl -w net.ipv6.conf.{bridge}.disable_ipv6=0" in said
    restart()
    assert fetch_bridge(node.directory).bridge == bridge
    assert addresses(bridge) == ""
    assert problems() == []
    assert "root" not in node.log_tail()
    switch(eth1, off=False)
    wait_until(
        lambda: any(f"net.ipv6.conf.{bridge}" in text for text in problems()), LIMIT_S, "off on the bridge alone"
    )
    switch(bridge, off=False)
    wait_until(lambda: own in addresses(bridge) and not problems(), LIMIT_S, "the bridge has it")
    node.stop()
