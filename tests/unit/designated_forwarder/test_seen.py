"""Hosts seen on a blocked port: so many, and the longest silent goes first."""

from __future__ import annotations

from treecast.base.addresses import MacAddress
from treecast.base.limits import MAX_SEEN_HOSTS
from treecast.base.time import Instant
from treecast.designated_forwarder.seen import SeenHosts


def mac(number: int) -> MacAddress:
    return MacAddress(b"\x02\x00" + number.to_bytes(4, "big"))


def test_one_that_sprays_addresses_is_bounded_and_the_longest_silent_is_forgotten() -> None:
    seen = SeenHosts()
    for number in range(MAX_SEEN_HOSTS):
        seen.saw(Instant(float(number)), 0, mac(number))
    seen.saw(Instant(float(MAX_SEEN_HOSTS)), 0, mac(0))
    for number in range(MAX_SEEN_HOSTS, MAX_SEEN_HOSTS + 2):
        seen.saw(Instant(float(MAX_SEEN_HOSTS + 1)), 0, mac(number))
    taken = [found for _, found in seen.take(Instant(0.0))]
    assert taken == [mac(0), *map(mac, range(3, MAX_SEEN_HOSTS + 2))]
