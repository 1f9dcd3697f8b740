"""A peer whose underlay is slow or gone, and one node under saturation: the others and the control plane do not wait.

n0 is the source; n1 is the peer in trouble::

      n0 ---- eth0: all but n1 as fast as it goes ---- n2, n3
                `-- n1: 20 Mb/s behind a long queue, or barred
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.load import Received, Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, DataPlane, DataPlanes
from lab.waiting import wait_until
from treecast.base.commands import SendControl
from treecast.base.events import ControlDatagram
from treecast.base.ids import NodeIndex

pytestmark = pytest.mark.alone

GROUP = "239.1.1.1"
RATE_PPS = 12_000
COUNT = 30_000
BARRED_COUNT = 12_000
PROBE_INTERVAL_S = 0.2


@pytest.fixture
def four() -> Iterator[DataPlanes]:
    with DataPlanes(4, probe_interval_s=PROBE_INTERVAL_S) as planes:
        for plane in planes.planes:  # below, a queueing discipline sends from any core
            planes.lab.keep_order(plane.machine)
        planes.tree(planes[0], 5, planes.planes[1:], group=GROUP)
        yield planes


def whole(received: list[Received], count: int) -> bool:
    return all((one.received, one.reordered, one.duplicated) == (count, 0, 0) for one in received)


def have_all(receivers: list[Receiver], count: int) -> bool:
    return all(receiver.snapshot().received >= count for receiver in receivers)


def all_are_heard(plane: DataPlane) -> bool:
    """Whether something came on each session in the time of a few probes."""
    return max(session.silent_s for session in plane.forwarder.sessions()) < 4 * PROBE_INTERVAL_S


def test_a_slow_peer_fills_its_own_buffer_and_holds_up_neither_others_nor_its_own_control(four: DataPlanes) -> None:
    """60 Mb of datagrams and 20 Mb/s: what its class does not take is dropped here, by name."""
    source, slow = four[0], four[1]
    eth0 = source.machine.underlay_interface
    source.machine.run(["ip", "link", "set", eth0, "txqueuelen", "20000"])  # as long as its buffer, and longer
    for line in (
        f"qdisc add dev {eth0} root handle 1: htb default 20",
        f"class add dev {eth0} parent 1: classid 1:10 htb rate 20mbit quantum 60000",
        f"class add dev {eth0} parent 1: classid 1:20 htb rate 20gbit quantum 60000",
        f"qdisc add dev {eth0} parent 1:10 handle 10: pfifo_fast",
        f"filter add dev {eth0} parent 1: protocol ip u32 match ip dst {slow.machine.underlay_ipv4} flowid 1:10",
    ):
        source.machine.run(["tc", *line.split()])
    before = len(slow.seen(ControlDatagram))
    receivers = [Receiver(plane.machine, GROUP, 5000, interface=INTERFACE) for plane in four.planes[1:]]
    sender = Sender(source.machine, GROUP, 5000, interface=INTERFACE, rate_pps=RATE_PPS, count=COUNT)
    wait_until(lambda: source.forwarder.drops()["socket_full"] > 0, LIMIT_S, "its buffer is full")
    source.do(SendControl(NodeIndex(slow.node), b"past all data"))
    heard = wait_until(lambda: slow.seen(ControlDatagram)[before:], LIMIT_S, "control passes data")
    assert heard[0].data == b"past all data"
    wait_until(lambda: all_are_heard(source), LIMIT_S, "probes and their answers pass data")
    came = receivers[0].snapshot().received
    wait_until(lambda: receivers[0].snapshot().received > came, LIMIT_S, "data waited that these have passed")
    assert sender.wait(LIMIT_S).sent == COUNT
    wait_until(lambda: have_all(receivers[1:], COUNT), LIMIT_S, "the others have all")
    got, *others = [receiver.stop() for receiver in receivers]
    assert whole(others, COUNT)
    assert (got.reordered, got.duplicated) == (0, 0)
    assert 0 < got.received < COUNT


@pytest.mark.parametrize("barred", ["blackhole", "unreachable", "nft"])
def test_a_peer_that_cannot_be_reached_costs_the_others_nothing(four: DataPlanes, barred: str) -> None:
    source, gone = four[0], four[1]
    if barred == "nft":
        source.machine.run(["nft", "add table ip own"])
        source.machine.run(["nft", "add chain ip own out { type filter hook output priority 0; }"])
        source.machine.run(["nft", f"add rule ip own out ip daddr {gone.machine.underlay_ipv4} drop"])
    else:
        source.machine.run(["ip", "route", "add", barred, f"{gone.machine.underlay_ipv4}/32"])
    receivers = [Receiver(plane.machine, GROUP, 5000, interface=INTERFACE) for plane in four.planes[1:]]
    sender = Sender(source.machine, GROUP, 5000, interface=INTERFACE, rate_pps=RATE_PPS, count=BARRED_COUNT)
    assert sender.wait(LIMIT_S).sent == BARRED_COUNT
    wait_until(lambda: have_all(receivers[1:], BARRED_COUNT), LIMIT_S, "the others have all")
    got, *others = [receiver.stop() for receiver in receivers]
    assert whole(others, BARRED_COUNT)
    assert got.received == 0
    assert source.forwarder.drops()["socket_unreachable"] >= BARRED_COUNT
    assert "udp-gso" in source.forwarder.offloads, "runs are not to blame"
