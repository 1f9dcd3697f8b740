"""Two nodes on one LAN: one carries it, nothing circulates, and the other takes over when the first dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import TreecastNode
from lab.sites import LIMIT_S
from tests.lab.overlay.asking import members, wait_members
from tests.lab.overlay.machines import heard, ping, talk
from tests.lab.switch.hosts import listen, speak
from tests.lab.switch.twice import Twice, one_lan_twice
from treecast.api.client import fetch_bridge, fetch_hosts, fetch_status

GROUP, PORT = "239.7.7.8", 5008
BROADCAST = "10.99.255.255"
TAKEOVER_S = 3.0
REACHED_LIMIT_S, FOUND_S = 60.0, 12.0
"""A link is dead after 7 to 8 s. A kernel's neighbour entry alone lasts 20 s and more (base_reachable_time, arp(7))."""
QUICK = ("--membership", "query-response-interval=2s")  # who comes back knows the LAN's groups after 4 s


@pytest.fixture(scope="module")
def twice() -> Iterator[Twice]:
    with one_lan_twice(QUICK, QUICK, QUICK) as made:
        yield made


def problems(node: TreecastNode) -> dict[str, str]:
    """Sentences by kind."""
    return {problem.kind: problem.text for problem in fetch_status(node.directory).problems}


def test_what_is_for_everybody_comes_once_and_does_not_circulate(twice: Twice, tmp_path: Path) -> None:
    speaker, bystander, far = twice.shared.hosts[0], twice.shared.hosts[1], twice.other.hosts[0]
    payloads = [f"once {number}".encode() for number in range(50)]
    near_ear, far_ear = listen(bystander, PORT), listen(far, PORT)
    try:
        with speaker.capture(tmp_path / "own.pcap", f"inbound and udp port {PORT}", interface="eth0") as own:
            speak(speaker, BROADCAST, PORT, payloads)
            assert heard(far_ear, len(payloads)) == payloads
            assert heard(near_ear, len(payloads)) == payloads
            talk(far, twice.shared.host_ipv4(1))  # on the same way as what circulates, and behind it
        assert (own.counts.captured, own.counts.dropped) == (0, 0)
        assert fetch_bridge(twice.overlay[1].directory).state == "capable"
    finally:
        near_ear.close()
        far_ear.close()


def test_one_node_has_the_lans_groups(twice: Twice) -> None:
    receiver = Receiver(twice.shared.hosts[1], GROUP, PORT, interface="eth0")
    wait_members(twice.overlay[2], GROUP, {"n0"}, LIMIT_S)
    Sender(twice.other.hosts[0], GROUP, PORT, interface="eth0", rate_pps=500, count=500).wait(LIMIT_S)
    wait_until(lambda: receiver.snapshot().received >= 500, LIMIT_S, "all of the stream has come")
    assert receiver.stop().duplicated == 0
    wait_members(twice.overlay[2], GROUP, set(), LIMIT_S)


def test_the_machine_of_a_blocked_node_is_a_host_of_the_lan_and_reached_through_the_other(twice: Twice) -> None:
    wait_until(lambda: twice.states() == ("forwarding", "capable", "forwarding"), LIMIT_S, "n0 carries the LAN")
    blocked, far = twice.overlay[1], twice.overlay[2]
    talk(blocked.machine, twice.other.host_ipv4(1))
    talk(twice.other.hosts[1], twice.shared.host_ipv4(252))
    talk(blocked.machine, far.ipv4)
    talk(far.machine, blocked.ipv4)
    talk(far.machine, blocked.ipv6)
    talk(twice.overlay[0].machine, blocked.ipv4)


def lan_hosts(twice: Twice) -> dict[str, tuple[str, set[str]]]:
    """The shared LAN's hosts, as n2 has them: the node and the addresses by MAC."""
    macs = {host.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip() for host in twice.shared.hosts[:2]}
    return {host.mac: (host.node, set(host.ip)) for host in fetch_hosts(twice.overlay[2].directory) if host.mac in macs}


def know_both(twice: Twice, node: str) -> bool:
    """Whether both hosts are at this node for n2, with their IPv4 addresses."""
    wanted = {twice.shared.host_ipv4(1), twice.shared.host_ipv4(2)}
    found = lan_hosts(twice).values()
    return {name for name, _ in found} == {node} and wanted <= {address for _, ips in found for address in ips}


def test_the_other_takes_over_with_the_hosts_and_gives_back(twice: Twice) -> None:
    taken_over_and_given_back(twice)


@pytest.mark.soak
def test_the_other_takes_over_within_3_s(twice: Twice) -> None:
    took_s, longest_gap_s = taken_over_and_given_back(twice)
    print(f"\ntaken over within {took_s:.2f} s; the longest gap of the stream: {longest_gap_s:.2f} s")
    assert took_s < TAKEOVER_S
    assert longest_gap_s < TAKEOVER_S


def taken_over_and_given_back(twice: Twice) -> tuple[float, float]:
    """Seconds from the death of the node that carries the LAN until the stream goes on, and its longest gap."""
    first = twice.overlay[0]
    here, far = twice.shared.hosts[0], twice.other.hosts[0]
    talk(here, twice.other.host_ipv4(1))
    talk(twice.shared.hosts[1], twice.other.host_ipv4(1))
    wait_until(lambda: know_both(twice, "n0"), LIMIT_S, "n0 has the hosts of its LAN")
    receiver = Receiver(twice.shared.hosts[1], GROUP, PORT, interface="eth0")
    wait_members(twice.overlay[2], GROUP, {"n0"}, LIMIT_S)
    sender = Sender(far, GROUP, PORT, interface="eth0", rate_pps=1000)
    wait_until(lambda: receiver.snapshot().received > 1000, LIMIT_S, "the stream runs")
    died_at = time.monotonic()
    first.kill()
    wait_until(lambda: twice.states() == ("forwarding", "forwarding"), LIMIT_S, "n1 has taken over")
    before = receiver.snapshot().received
    wait_until(lambda: receiver.snapshot().received > before, LIMIT_S, "it goes on")
    took_s = time.monotonic() - died_at
    wait_until(lambda: know_both(twice, "n1"), LIMIT_S, "n1 has the hosts, with the addresses that they had")
    ping(here, twice.other.host_ipv4(1), 3)
    wait_until(lambda: "lan_taken_over" in problems(twice.overlay[1]), LIMIT_S, "n1 says so")
    assert problems(twice.overlay[1])["lan_taken_over"].startswith(
        "eth1: n0, which carried this LAN, fell silent there"
    )
    first.start(twice.overlay[1].endpoint, options=QUICK)
    first.wait_ready()
    wait_until(lambda: twice.states() == ("forwarding", "capable", "forwarding"), LIMIT_S, "n0 has it again")
    assert all(ips & {twice.shared.host_ipv4(n) for n in (1, 2)} for _, ips in lan_hosts(twice).values())
    wait_until(lambda: "n0" in members(twice.overlay[2], GROUP), LIMIT_S, "n0 has the LAN's group again")
    before = receiver.snapshot().received
    wait_until(lambda: receiver.snapshot().received > before + 1000, LIMIT_S, "the stream comes through n0")
    assert "lan_taken_over" not in problems(twice.overlay[1])
    sender.stop()
    account = receiver.stop()
    talk(here, twice.other.host_ipv4(1))
    return took_s, max(stream.longest_gap_ns for stream in account.streams) / 1e9


def reaches(node: TreecastNode, address: str) -> bool:
    return node.machine.run(["ping", "-c", "1", "-W", "1", address], check=False).returncode == 0


def test_the_machine_of_a_node_that_died_is_reached_and_again_when_it_is_back(twice: Twice) -> None:
    machine_reached_behind_another(twice)


@pytest.mark.soak
def test_the_machine_of_a_node_that_died_is_reached_within_12_s(twice: Twice) -> None:
    took_s = machine_reached_behind_another(twice)
    print(f"\nreached {took_s:.2f} s after the death of its node")
    assert took_s < FOUND_S


def machine_reached_behind_another(twice: Twice) -> float:
    """Seconds from the death of the node that carries the LAN until its machine is reached by the other one."""
    first, far = twice.overlay[0], twice.overlay[2]
    wait_until(lambda: twice.states() == ("forwarding", "capable", "forwarding"), LIMIT_S, "n0 carries the LAN")
    addresses = (first.ipv4, first.ipv6)
    for address in addresses:
        talk(far.machine, address)
    died_at = time.monotonic()
    first.kill()
    for address in addresses:
        wait_until(partial(reaches, far, address), REACHED_LIMIT_S, f"n2 reaches {address} behind n1")
    took_s = time.monotonic() - died_at
    for address in addresses:
        talk(first.machine, far.ipv4)
        talk(far.machine, address)
    assert "address_conflict" not in problems(twice.overlay[1])
    first.start(twice.overlay[1].endpoint, options=QUICK)
    first.wait_ready()
    wait_until(lambda: twice.states() == ("forwarding", "capable", "forwarding"), LIMIT_S, "n0 has it again")
    for address in addresses:
        wait_until(partial(reaches, far, address), LIMIT_S, f"n2 reaches {address} again")
        talk(far.machine, address)
    return took_s


def test_one_that_is_stopped_makes_way_and_is_not_taken_for_dead(twice: Twice) -> None:
    first = twice.overlay[0]
    first.stop()
    wait_until(lambda: twice.states() == ("forwarding", "forwarding"), LIMIT_S, "n1 has taken over")
    assert "lan_taken_over" not in problems(twice.overlay[1])
