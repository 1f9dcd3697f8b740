"""The load generator and receiver, against the kernel's own multicast on a plain switch."""

from __future__ import annotations

import pytest

from lab import Lab, Machine, wait_until
from lab.load import Receiver, Sender, merge_latencies

PORT = 5000
LIMIT_S = 10.0


@pytest.fixture
def machines(lab: Lab) -> list[Machine]:
    """Three machines whose underlay may carry multicast."""
    lan = lab.switch()
    made = [lab.machine(f"n{number}", lan) for number in range(3)]
    for machine in made:
        machine.run(["ip", "link", "set", machine.underlay_interface, "multicast", "on"])
    return made


def receive(machine: Machine, group: str, *sources: str) -> Receiver:
    return Receiver(machine, group, PORT, interface=machine.underlay_interface, sources=sources)


def send(machine: Machine, group: str, stream: int, count: int = 500) -> Sender:
    return Sender(machine, group, PORT, interface=machine.underlay_interface, rate_pps=2000, count=count, stream=stream)


@pytest.mark.parametrize("group", ["239.1.1.1", "ff15::1"])
def test_a_multicast_stream_is_counted_completely(machines: list[Machine], group: str) -> None:
    receivers = [receive(machine, group) for machine in machines[1:]]
    sent = send(machines[0], group, stream=7).wait(LIMIT_S)
    assert (sent.sent, sent.failed) == (500, 0)
    wait_until(lambda: [own.snapshot().received for own in receivers] == [500, 500], LIMIT_S, "all have come")
    for receiver in receivers:
        stream = receiver.stop().of(7)
        assert stream is not None
        assert (stream.received, stream.lost, stream.duplicated, stream.reordered) == (500, 0, 0, 0)
        assert (stream.lowest, stream.highest, stream.bytes) == (0, 499, 500 * 1200)
        assert 0 < stream.latency.min_ns <= stream.latency.median_ns <= stream.latency.p99_ns <= stream.latency.max_ns


def test_two_sources_of_a_group_are_two_streams(machines: list[Machine]) -> None:
    receiver = receive(machines[2], "239.1.1.1")
    senders = [send(machine, "239.1.1.1", stream=0) for machine in machines[:2]]
    assert [sender.wait(LIMIT_S).sent for sender in senders] == [500, 500]
    wait_until(lambda: receiver.snapshot().received == 1000, LIMIT_S, "all have come")
    received = receiver.stop()
    assert {stream.source for stream in received.streams} == {own.underlay_ipv4 for own in machines[:2]}
    assert merge_latencies([stream.latency for stream in received.streams]).count == 1000


@pytest.mark.parametrize(("group", "family"), [("232.1.1.1", 4), ("ff35::1", 6)])
def test_a_source_specific_join_gets_its_source_only(machines: list[Machine], group: str, family: int) -> None:
    wanted, unwanted, subscriber = machines
    source = wanted.underlay_ipv4 if family == 4 else wanted.underlay_ipv6
    receiver = receive(subscriber, group, source)
    for machine in (unwanted, wanted):
        assert send(machine, group, stream=0).wait(LIMIT_S).sent == 500
    wait_until(lambda: receiver.snapshot().received >= 500, LIMIT_S, "the wanted source's have come")
    assert [(stream.source, stream.received) for stream in receiver.stop().streams] == [(source, 500)]


def test_lost_datagrams_are_counted_as_lost(lab: Lab, machines: list[Machine]) -> None:
    lab.loss(machines[1], 20)
    receiver = receive(machines[1], "239.1.1.1")
    send(machines[0], "239.1.1.1", stream=0, count=2000).wait(LIMIT_S)
    received = receiver.stop()
    assert 250 < received.lost < 550
    assert abs(received.lost + received.received - 2000) < 50  # those before the first and after the last


@pytest.mark.alone
def test_the_pace_is_even_over_a_second(machines: list[Machine]) -> None:
    sent = Sender(machines[0], machines[1].underlay_ipv4, PORT, rate_pps=5000, duration_s=1.0, size_bytes=64)
    assert sent.wait(LIMIT_S).rate_pps == pytest.approx(5000, rel=0.1)


def test_a_sender_without_an_end_is_stopped(machines: list[Machine]) -> None:
    receiver = receive(machines[1], "239.1.1.1")
    sender = Sender(machines[0], "239.1.1.1", PORT, interface="eth0", rate_pps=1000)
    wait_until(lambda: receiver.snapshot().received > 10, LIMIT_S, "the stream has come")
    assert sender.stop().sent > 10
    assert receiver.stop().join_ns > 0
