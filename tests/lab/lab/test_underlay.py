"""Machines reach each other at once; faults and captures do what they say."""

from __future__ import annotations

import socket

import pytest

from lab import Lab, Machine
from lab.load import Receiver, Sender

PORT = 5000


def reaches(machine: Machine, address: str) -> bool:
    """Whether it answers within two seconds: a first solicitation may be missed on busy cores, and is repeated."""
    return machine.run(["ping", "-c", "1", "-W", "2", address], check=False).returncode == 0


def count_received(source: Machine, target: Machine, count: int) -> int:
    """Count those that arrive of ``count`` datagrams at 10,000 per second over IPv4."""
    receiver = Receiver(target, target.underlay_ipv4, PORT)
    assert (
        Sender(source, target.underlay_ipv4, PORT, rate_pps=10_000, count=count, size_bytes=100).wait(10).sent == count
    )
    return receiver.stop().received


def test_forty_machines_are_made_and_reach_each_other_at_once(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(40)]
    assert reaches(machines[0], machines[39].underlay_ipv4)
    assert reaches(machines[39], machines[0].underlay_ipv6)


def test_the_addresses_of_a_machine_can_be_bound_at_once(lab: Lab) -> None:
    lan = lab.switch()
    for number in range(40):
        machine = lab.machine(f"n{number}", lan)
        for family, address in ((socket.AF_INET, machine.underlay_ipv4), (socket.AF_INET6, machine.underlay_ipv6)):
            with machine.enter(), socket.socket(family, socket.SOCK_DGRAM) as opened:
                opened.bind((address, PORT))


def test_machines_on_different_switches_do_not_reach_each_other(lab: Lab) -> None:
    left, right = lab.machine("left", lab.switch()), lab.machine("right", lab.switch())
    assert left.underlay_ipv4 != right.underlay_ipv4
    left.run(["ip", "route", "add", "default", "dev", left.underlay_interface])
    assert not reaches(left, right.underlay_ipv4)


def test_a_machine_may_be_on_two_switches(lab: Lab) -> None:
    first, second = lab.switch(), lab.switch(mtu_bytes=9000)
    between, beyond = lab.machine("between", first, second), lab.machine("beyond", second)
    assert between.underlay_interface == "eth0"
    assert reaches(between, beyond.underlay_ipv6)
    assert between.run(["ping", "-c", "1", "-M", "do", "-s", "8900", beyond.underlay_ipv4]).returncode == 0


def test_a_thread_enters_a_machine_and_comes_back(lab: Lab) -> None:
    machine = lab.machine("n0", lab.switch())
    with machine.enter():
        inside = {name for _, name in socket.if_nameindex()}
    assert inside == {"lo", "eth0"}
    assert {name for _, name in socket.if_nameindex()} != inside


def test_loss_takes_its_share_and_ends(lab: Lab) -> None:
    lan = lab.switch()
    source, target = lab.machine("source", lan), lab.machine("target", lan)
    assert count_received(source, target, 4000) == 4000
    lab.loss(target, 25)
    assert 2700 < count_received(source, target, 4000) < 3300  # 3000 expected, deviation 27
    lab.loss(target, 100)
    assert count_received(source, target, 100) == 0
    lab.loss(target, 0)
    assert count_received(source, target, 4000) == 4000


def test_a_blocked_machine_is_cut_off_and_comes_back(lab: Lab) -> None:
    lan = lab.switch()
    left, right = lab.machine("left", lan), lab.machine("right", lan)
    assert reaches(left, right.underlay_ipv4)
    lab.block(right)
    assert not reaches(left, right.underlay_ipv4)
    assert not reaches(right, left.underlay_ipv6)
    lab.unblock(right)
    assert reaches(left, right.underlay_ipv4)


def test_a_machine_without_ipv6_has_no_address_of_it(lab: Lab) -> None:
    lan = lab.switch()
    left, right = lab.machine("left", lan), lab.machine("right", lan)
    right.disable_ipv6()
    assert not reaches(left, right.underlay_ipv6)
    assert reaches(left, right.underlay_ipv4)
    assert "inet6" not in right.run(["ip", "address"]).stdout


def test_a_capture_has_the_first_packet_and_the_last(lab: Lab) -> None:
    lan = lab.switch()
    source, target = lab.machine("source", lan), lab.machine("target", lan)
    path = lab.directory / "stream.pcap"
    with target.capture(path, f"udp port {PORT}") as capture:
        sent = Sender(source, target.underlay_ipv4, PORT, rate_pps=20_000, count=10_000, size_bytes=200).wait(10)
    assert sent.sent == 10_000
    assert (capture.counts.captured, capture.counts.dropped) == (10_000, 0)
    assert path.read_bytes().count(b"treecast-load plaintext") >= 10_000


def test_a_wrong_capture_filter_is_an_error_and_not_an_empty_capture(lab: Lab) -> None:
    machine = lab.machine("n0", lab.switch())
    with pytest.raises(EOFError), machine.capture(lab.directory / "none.pcap", "no such filter"):
        pass


def test_counters_count_what_an_interface_has_carried(lab: Lab) -> None:
    lan = lab.switch()
    source, target = lab.machine("source", lan), lab.machine("target", lan)
    assert reaches(source, target.underlay_ipv4)  # ARP is done
    before = target.counters()
    assert count_received(source, target, 1000) == 1000
    carried = target.counters() - before
    assert 1000 <= carried.rx_packets < 1010
    assert carried.rx_bytes >= 1000 * (100 + 28 + 14)
    with pytest.raises(KeyError):
        target.counters("eth9")


def test_without_segmentation_offload_a_super_packet_is_cut_before_the_cable(lab: Lab) -> None:
    lan = lab.switch()
    source, target = lab.machine("source", lan), lab.machine("target", lan)
    assert reaches(source, target.underlay_ipv4)

    def packets_of_a_super_packet() -> int:
        before = target.counters()
        with source.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT, linux/udp.h
            own.sendto(bytes(20_000), (target.underlay_ipv4, PORT))
        return (target.counters() - before).rx_packets

    assert packets_of_a_super_packet() < 5
    source.offload(False)
    assert packets_of_a_super_packet() >= 20
    source.offload(True)
    assert packets_of_a_super_packet() < 5
