"""Frames that interfaces refuse as too big are a problem while they do, and for 15 s."""

from __future__ import annotations

from treecast.base.time import Instant
from treecast.daemon.packet_ports import too_big
from treecast.daemon.refused import TOO_BIG_TIME, TooBigCount


def test_what_is_refused_counts_until_nothing_was_for_a_while() -> None:
    refused = TooBigCount(3)
    refused.note(Instant(10.0), 3, fell=False)
    assert refused.lately(Instant(10.0)) == 0
    refused.note(Instant(11.0), 63, fell=False)
    refused.note(Instant(20.0), 63, fell=False)
    assert refused.lately(Instant(20.0)) == 60
    assert TOO_BIG_TIME <= 15.0
    assert refused.lately(Instant(11.0 + TOO_BIG_TIME)) == 0
    refused.note(Instant(40.0), 64, fell=False)
    assert refused.lately(Instant(40.0)) == 1, "what was is over"


def test_the_packet_port_with_the_smallest_mtu_is_the_one_that_refuses() -> None:
    assert list(too_big({"wlan0": 1300}, 0)) == []
    (problem,) = too_big({"usb0": 1500, "wlan0": 1300}, 60)
    assert (problem.kind, problem.subject) == ("frames_too_big", "wlan0")
    assert problem.text == (
        "wlan0 refused 60 frames as longer than its MTU of 1300 bytes, which hosts of its LAN lack: ip link set wlan0 "
        "mtu 1500 if that LAN carries as much, or give the senders an MTU of 1300"
    )
