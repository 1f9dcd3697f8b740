"""Two LANs behind two nodes are one: hosts that know nothing of Treecast talk, and hear the groups they join."""

from __future__ import annotations

import hashlib
import random
from itertools import product

import pytest

from lab import wait_until
from lab.lan import link_local
from lab.load import Receiver, Sender
from lab.sites import LIMIT_S, Sites
from tests.lab.overlay.asking import wait_members
from tests.lab.overlay.machines import talk, transfer

GROUP, GROUP6, PORT = "239.7.7.7", "ff35::7:7", 5007
DATA = random.Random(1).randbytes(4_000_000)


@pytest.mark.parametrize(("one", "other"), list(product((1, 2), (1, 2))))
def test_hosts_of_the_two_lans_ping_each_other(sites: Sites, one: int, other: int) -> None:
    here, there = sites.lans[:2]
    talk(here.hosts[one - 1], there.host_ipv4(other))
    talk(there.hosts[other - 1], f"{link_local(here.hosts[one - 1], 'eth0')}%eth0")


def test_the_nodes_machines_are_hosts_of_the_lans_and_of_the_overlay(sites: Sites) -> None:
    here, there = sites.lans[:2]
    (node, machine), (other, far) = [(node, node.machine) for node in sites.overlay.nodes[:2]]
    talk(here.hosts[0], there.host_ipv4(254))  # the far machine's LAN address
    talk(here.hosts[0], here.host_ipv4(254))
    talk(machine, there.host_ipv4(1))
    talk(machine, other.ipv4)
    talk(far, node.ipv6)


@pytest.mark.parametrize("group", [GROUP, GROUP6])
def test_a_host_hears_the_group_it_joined_from_the_other_lan_and_nobody_else_does(sites: Sites, group: str) -> None:
    here, there = sites.lans[:2]
    receiver = Receiver(there.hosts[0], group, PORT, interface="eth0")
    wait_members(sites.overlay[0], group, {"n1"}, LIMIT_S)
    before = there.hosts[1].counters("eth0"), sites.overlay[0].machine.counters().tx_bytes
    Sender(here.hosts[0], group, PORT, interface="eth0", rate_pps=500, count=500).wait(LIMIT_S)
    wait_until(lambda: receiver.snapshot().received >= 500, LIMIT_S, "all of the stream has come")
    account = receiver.stop()
    assert (account.received, account.lost, account.duplicated) == (500, 0, 0)
    assert sites.overlay[0].machine.counters().tx_bytes - before[1] < 2 * 500 * 1300  # one copy serves the LAN
    wait_members(sites.overlay[0], group, set(), LIMIT_S)
    sent = sites.overlay[0].machine.counters().tx_bytes
    Sender(here.hosts[0], group, PORT, interface="eth0", rate_pps=500, count=500).wait(LIMIT_S)
    assert sites.overlay[0].machine.counters().tx_bytes - sent < 100_000  # nobody wants it: it stays at its root


@pytest.mark.parametrize("group", [GROUP, GROUP6])
def test_a_nodes_own_machine_hears_a_host_of_the_other_lan_and_is_heard(sites: Sites, group: str) -> None:
    there = sites.lans[1]
    machine = sites.overlay[0].machine
    receiver = Receiver(machine, group, PORT, interface="tcbr-eth1")
    wait_members(sites.overlay[1], group, {"n0"}, LIMIT_S)
    Sender(there.hosts[1], group, PORT, interface="eth0", rate_pps=500, count=300).wait(LIMIT_S)
    wait_until(lambda: receiver.snapshot().received >= 300, LIMIT_S, "all of the stream has come")
    assert receiver.stop().duplicated == 0
    listener = Receiver(there.hosts[1], group, PORT, interface="eth0")
    wait_members(sites.overlay[0], group, {"n1"}, LIMIT_S)
    Sender(machine, group, PORT, interface="tcbr-eth1", rate_pps=500, count=300).wait(LIMIT_S)
    wait_until(lambda: listener.snapshot().received >= 300, LIMIT_S, "all of the stream has come")
    assert listener.stop().duplicated == 0


def test_frames_of_full_size_cross(sites: Sites) -> None:
    here, there = sites.lans[:2]
    one, other = here.hosts[0], there.hosts[0]
    talk(one, there.host_ipv4(1))
    for size in (1300, 1344, 1400, 1471, 1472):  # 1472 and 28 bytes of headers: 1500
        done = one.run(["ping", "-M", "do", "-c", "3", "-i", "0.2", "-W", "2", "-s", str(size), there.host_ipv4(1)])
        assert " 3 received" in done.stdout
    done = one.run(["ping", "-M", "do", "-c", "3", "-i", "0.2", "-s", "1452", f"{link_local(other, 'eth0')}%eth0"])
    assert " 3 received" in done.stdout


def test_tcp_between_hosts_of_the_two_lans_carries_the_same_bytes(sites: Sites) -> None:
    here, there = sites.lans[:2]
    talk(here.hosts[0], there.host_ipv4(2))
    digest = hashlib.sha256(DATA).hexdigest()
    assert transfer(here.hosts[0], there.hosts[1], there.host_ipv4(2), DATA) == digest
    assert transfer(there.hosts[1], here.hosts[0], here.host_ipv4(1), DATA) == digest


def test_a_stream_of_full_size_frames_loses_nothing(sites: Sites) -> None:
    here, there = sites.lans[:2]
    receiver = Receiver(there.hosts[0], GROUP, PORT, interface="eth0")
    wait_members(sites.overlay[0], GROUP, {"n1"}, LIMIT_S)
    Sender(here.hosts[0], GROUP, PORT, interface="eth0", size_bytes=1472, rate_pps=500, count=500).wait(LIMIT_S)
    wait_until(lambda: receiver.snapshot().received >= 500, LIMIT_S, "all of the stream has come")
    account = receiver.stop()
    assert (account.lost, account.duplicated) == (0, 0)
