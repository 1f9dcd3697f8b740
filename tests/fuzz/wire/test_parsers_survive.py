"""A parser returns a record or raises MalformedError for any bytes; what it returns can be emitted again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.fuzz.wire.mutations import arp_frames, igmp_frames, mld_frames, mutations, ndp_frames
from treecast.base.errors import MalformedError
from treecast.wire import arp, ethernet, igmp, ipv4, ipv6, mld, ndp
from treecast.wire.ethernet import EthernetFrame


def read_ipv4(frame: EthernetFrame) -> None:
    packet = ipv4.parse(frame.payload)
    assert ipv4.parse(ipv4.emit(packet)) == packet


def read_ipv6(frame: EthernetFrame) -> None:
    packet = ipv6.parse(frame.payload)
    assert ipv6.parse(ipv6.emit(packet)) == packet


def read_igmp(frame: EthernetFrame) -> None:
    message = igmp.parse_frame(frame).message
    assert igmp.parse(igmp.emit(message)) == message


def read_mld(frame: EthernetFrame) -> None:
    received = mld.parse_frame(frame)
    packet = ipv6.parse(frame.payload)
    again = mld.emit(received.message, packet.source, packet.destination)
    assert mld.parse(again, packet.source, packet.destination) == received.message


def read_arp(frame: EthernetFrame) -> None:
    packet = arp.parse(frame.payload)
    assert arp.parse(arp.emit(packet)) == packet


def read_ndp(frame: EthernetFrame) -> None:
    packet = ipv6.parse(frame.payload)
    message = ndp.parse(packet)
    assert ndp.emit(message, packet.source, packet.destination)


@pytest.mark.parametrize(
    ("seeds", "read"),
    [
        (igmp_frames, read_ipv4),
        (mld_frames, read_ipv6),
        (igmp_frames, read_igmp),
        (mld_frames, read_mld),
        (arp_frames, read_arp),
        (ndp_frames, read_ndp),
    ],
    ids=["ipv4", "ipv6", "igmp", "mld", "arp", "ndp"],
)
def test_a_parser_survives_any_bytes(seeds: Callable[[], list[bytes]], read: Callable[[EthernetFrame], None]) -> None:
    accepted, reasons = 0, set()
    for data in mutations(Random(1), seeds()):
        try:
            frame = ethernet.parse(data)
            read(frame)
        except MalformedError as error:
            reasons.add(error.reason)
        else:
            assert ethernet.emit(frame) == data
            accepted += 1
    assert accepted > 100, "the mutants must get past the first checks"
    assert len(reasons) >= 3
