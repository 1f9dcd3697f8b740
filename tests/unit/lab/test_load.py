from __future__ import annotations

import pytest

from lab.load import Latency, Sent, merge_latencies


def latency(*histogram: tuple[int, int]) -> Latency:
    return Latency(
        count=sum(count for _, count in histogram),
        min_ns=histogram[0][0],
        median_ns=0,
        p99_ns=0,
        max_ns=histogram[-1][0],
        histogram=histogram,
    )


def test_merged_latencies_are_those_of_all_receivers_together() -> None:
    merged = merge_latencies([latency((10, 50), (20, 49)), latency((20, 1), (90, 100))])
    assert (merged.count, merged.min_ns, merged.max_ns) == (200, 10, 90)
    assert merged.histogram == ((10, 50), (20, 50), (90, 100))
    assert (merged.median_ns, merged.p99_ns) == (20, 90)


def test_the_median_of_one_receiver_is_its_own() -> None:
    assert merge_latencies([latency((1, 98), (2, 1), (3, 1))]).p99_ns == 2


def test_nothing_received_has_no_latency() -> None:
    with pytest.raises(ValueError, match="empty"):
        merge_latencies([])


def test_a_rate_is_that_between_the_first_and_the_last() -> None:
    assert Sent(0, 1200, 1001, 0, 0, first_ns=0, last_ns=10**9).rate_pps == 1000
    assert Sent(0, 1200, 1, 0, 0, first_ns=5, last_ns=5).rate_pps == 0
