"""Several workers: each flow in order, whoever has it; and what happens where the kernel gives one queue only."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from lab.load import Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, DataPlanes, ipv4, mac
from lab.waiting import wait_until
from treecast import _native

FLOWS = 6
RATE_PPS = 1250
COUNT = 2500


def test_flows_of_both_directions_keep_their_order_with_four_workers() -> None:
    """Six groups each way, more flows than queues, and pings between them."""
    with DataPlanes(2, workers=4) as planes:
        one, other = planes.planes
        for plane in planes.planes:
            assert (plane.forwarder.workers, "tap-queues" in plane.forwarder.offloads) == (4, True)
        for number in range(FLOWS):
            planes.tree(one, 10 + number, [other], group=f"239.1.2.{number}")
            planes.tree(other, 10 + number, [one], group=f"239.1.3.{number}")
        ways = [(one, other, f"239.1.2.{number}") for number in range(FLOWS)]
        ways += [(other, one, f"239.1.3.{number}") for number in range(FLOWS)]
        receivers = [Receiver(to.machine, group, 5000, interface=INTERFACE) for _, to, group in ways]
        senders = [
            Sender(root.machine, group, 5000, interface=INTERFACE, rate_pps=RATE_PPS, count=COUNT)
            for root, _, group in ways
        ]
        one.machine.run(["ping", "-c20", "-i0.02", "-W2", ipv4(2)])
        assert [sender.wait(30).sent for sender in senders] == [COUNT] * len(ways)
        wait_until(lambda: all(own.snapshot().received >= COUNT for own in receivers), LIMIT_S, "all received")
        got = [receiver.stop() for receiver in receivers]
    assert [(own.received, own.reordered, own.duplicated) for own in got] == [(COUNT, 0, 0)] * len(ways)


def test_threads_that_decide_have_longer_slices_than_those_that_move_packets() -> None:
    """A thread that wakes may interrupt one with longer slices: no packet waits for Python's turn to end."""
    with DataPlanes(1, workers=2):
        usual = range(slice_ns(Path("/proc/thread-self")))
        wait_until(lambda: [own in usual for own in worker_slices_ns()] == [True, True], LIMIT_S, "two shorter slices")


def worker_slices_ns() -> list[int]:
    """Threads name and schedule themselves, a moment after their start."""
    tasks = Path("/proc/self/task").iterdir()
    return [slice_ns(task) for task in tasks if (task / "comm").read_text().strip() == "treecast-data"]


def slice_ns(task: Path) -> int:
    """Linux 6.12 and later say it; the usual one depends on the number of processors."""
    lines = (line.split(":") for line in (task / "sched").read_text().splitlines() if line.startswith("se.slice"))
    return int(next(lines)[1])


def test_a_tap_that_has_one_queue_serves_several_workers() -> None:
    """Somebody made the interface before, with one queue: several are refused."""
    with DataPlanes(1) as planes:
        plane = planes[0]
        plane.machine.run(["ip", "tuntap", "add", "name", "tc1", "mode", "tap", "vnet_hdr"])
        listen = [(ip_address(plane.machine.underlay_ipv4).packed, 7701)]
        with plane.machine.enter():
            forwarder = _native.Forwarder(
                node_index=9,
                network=_native.Network(bytes(16), bytes(32)),
                signing_key=_native.SigningKey(bytes(32)),
                interface="tc1",
                mac=mac(9),
                mtu=1374,
                listen=listen,
                workers=2,
                take=True,
            )
        try:
            plane.machine.run(["ip", "link", "set", "tc1", "up"])
            forwarder.start()
            assert (forwarder.workers, "tap-queues" in forwarder.offloads) == (2, False)
            plane.machine.run(["ping", "-c1", "-W1", "-I", "tc1", "224.0.0.1"], check=False)
            wait_until(lambda: forwarder.counters()["tap_rx_frames"] > 0, LIMIT_S, "frames from the only queue")
        finally:
            forwarder.stop()
