"""A subscriber of one group makes frames of another one, which it may not have, under the key that it holds."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.hostile_speaker import layouts as wire
from tests.lab.hostile.hostility import LIMIT_S, RATE_PPS, STREAM_PORT, Hostility, counted
from tests.lab.overlay.asking import wait_members, wait_received

ITS_GROUP, OTHER_GROUP, OTHER_MAC = "239.90.5.1", "239.90.5.2", "01:00:5e:5a:05:02"
FORGED = 50


def test_a_key_of_one_group_makes_no_frame_of_another(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    sent = 2 * RATE_PPS
    with hostility.speaker(hostility.admit("curious", "eve")) as speaker, hostility.linked(speaker, n0) as (session,):
        its_own, others = (
            Receiver(n1.machine, group, STREAM_PORT, interface=INTERFACE) for group in (ITS_GROUP, OTHER_GROUP)
        )
        speaker.join(session, ITS_GROUP)
        wait_members(n0, ITS_GROUP, {"n1", "curious"})
        wait_members(n0, OTHER_GROUP, {"n1"})
        for group, receiver in ((ITS_GROUP, its_own), (OTHER_GROUP, others)):
            Sender(n0.machine, group, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=sent)
            wait_received(receiver, sent, LIMIT_S)
        key = max((one for one in session.offers if one.stream), key=lambda one: one.key_id)
        payload = UDP(sport=STREAM_PORT, dport=STREAM_PORT) / Raw(b"forged")
        frame = bytes(Ether(src="02:54:00:00:00:01", dst=OTHER_MAC) / IP(src=n0.ipv4, dst=OTHER_GROUP, ttl=8) / payload)
        datagrams = [key.seal(sent + number, wire.inner(wire.FRAME, frame)) for number in range(1, FORGED + 1)]
        before = counted(n1, "frame_of_another_flow")
        with hostility.undisturbed():
            hostility.forge("mallory", n1, n0, datagrams)
            wait_until(lambda: counted(n1, "frame_of_another_flow") - before == FORGED, LIMIT_S, "all are judged")
        for receiver in (its_own, others):
            found = receiver.stop()
            assert (found.received, found.other) == (sent, 0)
