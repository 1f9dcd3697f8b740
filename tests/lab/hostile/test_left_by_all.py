"""All subscribers of a stream that pauses leave, and one comes back: what the others make up with its last key is not
delivered there, though no frame of the source has ended that key.
"""

from __future__ import annotations

from lab import wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.hostile_speaker import layouts as wire
from tests.lab.hostile.hostility import LIMIT_S, RATE_PPS, STREAM_PORT, Hostility, counted
from tests.lab.hostile.test_members import FORGED, KEY_ENDS_S, forged_frame
from tests.lab.overlay.asking import members, wait_members, wait_received
from treecast.adapters import clock

PAUSING_GROUP, PAUSING_GROUP_MAC = "239.90.4.10", "01:00:5e:5a:04:0a"
SENT = RATE_PPS


def test_who_comes_back_takes_nothing_that_the_others_make_up_with_the_last_key(hostility: Hostility) -> None:
    n0, n1, _ = hostility.net.nodes
    name = "leaver"
    with hostility.speaker(hostility.admit(name, "eve")) as speaker, hostility.linked(speaker, n0) as (session,):
        receiver = Receiver(n1.machine, PAUSING_GROUP, STREAM_PORT, interface=INTERFACE)
        speaker.join(session, PAUSING_GROUP)
        wait_members(n0, PAUSING_GROUP, {"n1", name})
        Sender(n0.machine, PAUSING_GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=SENT)
        wait_received(receiver, SENT, LIMIT_S)
        key = session.offered
        receiver.stop()
        wait_members(n0, PAUSING_GROUP, {name})
        speaker.leave(session)
        left_at = clock.monotonic()
        wait_until(lambda: not members(n0, PAUSING_GROUP), LIMIT_S, "the source knows that nobody wants it")
        back = Receiver(n1.machine, PAUSING_GROUP, STREAM_PORT, interface=INTERFACE)
        wait_members(n0, PAUSING_GROUP, {"n1"})
        wait_until(lambda: clock.monotonic() - left_at > KEY_ENDS_S, LIMIT_S, "the key that was left is over")
        before = counted(n1, "tree_key_unknown")
        plaintext = wire.inner(wire.FRAME, forged_frame("02:54:00:00:00:01", n0.ipv4, PAUSING_GROUP_MAC, PAUSING_GROUP))
        datagrams = [key.stepped(step).seal(SENT + n, plaintext) for step in range(2) for n in range(1, FORGED)]
        hostility.forge("mallory", n1, n0, datagrams)
        wait_until(lambda: counted(n1, "tree_key_unknown") - before == len(datagrams), LIMIT_S, "all are judged")
        Sender(n0.machine, PAUSING_GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=SENT)
        wait_received(back, SENT, LIMIT_S)
        found = back.stop()
        assert (found.received, found.lost, found.duplicated, found.other) == (SENT, 0, 0, 0)
