from __future__ import annotations

import pytest

from lab.counting import Counters, parse_net_dev

NET_DEV = """\
Inter-|   Receive                            |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo:      10       1    0    0    0     0          0         0       11       2    0    0    0     0       0
treecast0:123456789012  34 0    0    0     0          0         5     6789      12    0    0    0     0       0
"""


def test_an_interface_is_found_also_when_its_numbers_touch_its_name() -> None:
    assert parse_net_dev(NET_DEV, "treecast0") == Counters(123456789012, 34, 6789, 12)
    assert parse_net_dev(NET_DEV, "lo") == Counters(10, 1, 11, 2)


@pytest.mark.parametrize("name", ["eth0", "treecast", "face", ""])
def test_an_interface_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(KeyError):
        parse_net_dev(NET_DEV, name)


def test_a_difference_is_what_has_passed() -> None:
    assert Counters(10, 4, 7, 3) - Counters(1, 2, 3, 3) == Counters(9, 2, 4, 0)
