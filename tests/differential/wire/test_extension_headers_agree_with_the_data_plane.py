"""IPv6 extension headers before a message: the control plane finds behind them what the data plane's model finds.

``sim/frames.py`` is that model; tests/differential/native holds it against ``headers.rs`` on real frames.
"""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest

from tests.differential.native.envelopes import CHAINS, EXTENSIONS, behind
from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.sim.frames import Delivery, frame_kind
from treecast.wire import ethernet, ipv6, mld, mrd, ndp
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv6 import NO_NEXT_HEADER

ALL_NODES = ip_address("ff02::1")
SOURCE = MacAddress.parse("02:00:00:00:00:0a")
MESSAGES = (130, 131, 132, 143, 133, 134, 135, 136, 151, 153)
MUTATIONS = 20_000


def in_frame(packet: bytes) -> bytes:
    return ethernet.emit(EthernetFrame(ethernet.multicast_mac(ALL_NODES), SOURCE, EtherType.IPV6, packet))


def is_punted(frame: bytes) -> bool:
    """Whether the data plane hands it to Python alone, for the message in it."""
    kind = frame_kind(frame)
    return kind.delivery is Delivery.PUNT and kind.shown


def is_found(data: bytes) -> bool:
    frame = ethernet.parse(data)
    packet = ipv6.parse(frame.payload)
    return mld.is_mld(packet) or ndp.is_ndp(packet) or mrd.is_mrd(frame)


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
def test_a_message_that_is_punted_is_found_and_no_other(chain: tuple[str, ...]) -> None:
    for kind in MESSAGES:
        frame = in_frame(behind(chain, ALL_NODES, 58, bytes([kind, *bytes(23)])))
        assert is_found(frame) == is_punted(frame), kind


def test_random_chains_that_are_cut_off_or_changed_are_read_the_same() -> None:
    rng, read = Random(1), 0
    for _ in range(MUTATIONS):
        chain = tuple(rng.choice(tuple(EXTENSIONS)) for _ in range(rng.randrange(10)))
        data = bytearray(behind(chain, ALL_NODES, rng.choice((58, 17, 103)), bytes([143, *bytes(23)])))
        for _ in range(rng.randrange(3)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 43, 44, 51, 58, 60, rng.randrange(256)))
        packet = bytes(data[: rng.choice((len(data), len(data), rng.randrange(len(data) + 1)))])
        frame = in_frame(packet)
        try:
            upper = ipv6.upper_layer(ipv6.parse(packet))
        except MalformedError as error:
            assert error.reason == "ipv6_bad_options" or not is_punted(frame)
            continue
        read += upper.protocol != NO_NEXT_HEADER
        is_message = (
            upper.protocol == 58 and upper.data[:1] and upper.data[0] in {*range(130, 138), 143, *range(151, 154)}
        )
        is_reserved = ethernet.parse(frame).destination.is_group and frame_kind(frame).dropped == "mac_reserved"
        assert is_punted(frame) == bool(is_message) or is_reserved
    assert read > MUTATIONS / 10
