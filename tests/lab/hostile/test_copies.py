"""A subscriber whose path to the root is cut has copies by a neighbour, and a member that writes the root's address
sends it the tree datagrams, too: as they come, and recorded ones when the path is there again::

 n0: a stream      n1: receives      n2: receives      eve: subscribes
+-----------+     +-----------+     +-----------+     +-----------+
| treecast0 |     | treecast0 |     | treecast0 |     | speaker   |
+----||-----+     +----||-----+     +----||-----+     +----||-----+
=====++================++====== switch0 ==++===============++======
     x------- of these two only -------x
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode
from lab.sites import show_logs
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile.hostility import GROUP, STREAM_PORT, Hostility, counted, wait_key, wait_subscribed
from tests.lab.overlay.asking import wait_members, wait_received
from tests.lab.overlay.test_path_that_is_cut import heal, via

RATE_PPS, SIZE_BYTES = 40, 300
"""A stream within what a route carries."""
LIMIT_S = 20.0
RECORDED = 2 * RATE_PPS


def cut_machines(one: TreecastNode, other: TreecastNode) -> None:
    """Nothing comes from one machine to the other, nor back, but what others send under their addresses."""
    for node, far in ((one, other), (other, one)):
        address = f"/sys/class/net/{far.machine.underlay_interface}/address"
        mac = far.machine.run(["cat", address]).stdout.strip()
        node.machine.run(["nft", "add table ip cut; add chain ip cut in { type filter hook input priority 0; }"])
        rule = f"add rule ip cut in ether saddr {mac} ip saddr {far.machine.underlay_ipv4} drop"
        node.machine.run(["nft", rule])


@pytest.fixture
def slow_stream() -> Iterator[Hostility]:
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(f"n{number}", lan) for number in range(3)]
        eve = lab.machine("eve", lan)
        for machine in (*machines, eve):
            machine.offload(False)  # a packet is a datagram
            machine.sysctl(f"net/ipv6/conf/{machine.underlay_interface}/disable_ipv6", 1)
        net = Overlay(machines, lab.directory)
        net.start()
        receivers = tuple(Receiver(node.machine, GROUP, STREAM_PORT, interface=INTERFACE) for node in net.nodes[1:])
        wait_members(net[0], GROUP, {"n1", "n2"})
        stream = Sender(
            net[0].machine, GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, size_bytes=SIZE_BYTES
        )
        for receiver in receivers:
            wait_received(receiver, RATE_PPS)
        yield Hostility(net, {"eve": eve}, receivers, lab.directory)
        stream.stop()
        show_logs(net.nodes)
        net.stop()


def wait_tree_datagrams(speaker: Speaker, known: int) -> None:
    wait_until(lambda: len(speaker.tree_datagrams) > known, LIMIT_S, "the speaker gets the stream")


def send_on(hostility: Hostility, speaker: Speaker, count: int) -> list[bytes]:
    """Sends of the tree's datagrams, each as the speaker gets it, to n2 under the address of n0."""
    root, _, victim = hostility.net.nodes
    taken = len(speaker.tree_datagrams)
    first = taken
    while taken < first + count:
        wait_tree_datagrams(speaker, taken)
        come = speaker.tree_datagrams[taken:]
        hostility.forge("eve", victim, root, come)
        taken += len(come)
    return speaker.tree_datagrams[first:taken]


def test_who_has_copies_gets_no_frame_twice_by_the_tree_neither_then_nor_later(slow_stream: Hostility) -> None:
    root, between, victim = slow_stream.net.nodes
    receiver = slow_stream.receivers[1]
    with (
        slow_stream.speaker(slow_stream.admit("eve", "eve")) as speaker,
        slow_stream.linked(speaker, root) as (session,),
    ):
        speaker.join(session, GROUP)
        wait_key(session)
        wait_subscribed(root, "eve")
        wait_tree_datagrams(speaker, RATE_PPS)
        cut_machines(root, victim)
        wait_until(lambda: via(root, victim) == via(victim, root) == between.name, LIMIT_S, "both have a route")
        wait_received(receiver, receiver.snapshot().received + RATE_PPS)
        before, refused = receiver.snapshot(), counted(victim, "tree_rpf")
        recorded = send_on(slow_stream, speaker, 5 * RATE_PPS)[-RECORDED:]
        assert counted(victim, "tree_rpf") - refused >= 5 * RATE_PPS - 2
        assert receiver.snapshot().duplicated == 0
        heal((root, victim))
        send_on(slow_stream, speaker, RATE_PPS)
        wait_until(lambda: via(root, victim) == via(victim, root) == "", LIMIT_S, "their path is back")
        wait_received(receiver, receiver.snapshot().received + RATE_PPS)
        replayed = counted(victim, "tree_replay")
        slow_stream.forge("eve", victim, root, recorded)
        wait_until(lambda: counted(victim, "tree_replay") - replayed >= RECORDED - 2, LIMIT_S, "all are judged")
        wait_received(receiver, receiver.snapshot().received + RATE_PPS)
        now = receiver.snapshot()
        assert (now.lost - before.lost, now.duplicated, now.other) == (0, 0, 0)
