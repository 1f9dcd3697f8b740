"""Shares of a table: who makes room for whom."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from treecast.base.ids import NodeIndex
from treecast.base.shares import Shares

ONE, TWO, THREE = NodeIndex(1), NodeIndex(2), NodeIndex(3)


def shares_of(**counts: int) -> Shares[int]:
    shares: Shares[int] = Shares()
    for node, count in counts.items():
        for key in range(count):
            shares.put(NodeIndex(int(node[1:])), key)
    return shares


def test_the_newest_of_who_has_the_most_makes_room_for_who_has_fewer() -> None:
    shares = shares_of(n1=5, n2=3)
    assert shares.to_evict(THREE) == (ONE, 4)
    assert shares.to_evict(TWO) == (ONE, 4)


def test_who_would_have_as_many_gets_no_place_of_another() -> None:
    shares = shares_of(n1=5, n2=4)
    assert shares.to_evict(TWO) is None
    assert shares.to_evict(ONE) is None
    assert Shares[int]().to_evict(ONE) is None


def test_an_entry_that_is_put_again_is_not_the_newest() -> None:
    shares = shares_of(n1=3)
    shares.put(ONE, 0)
    assert shares.to_evict(TWO) == (ONE, 2)


def test_counts_are_those_of_the_entries_whatever_comes_and_goes() -> None:
    rng, shares = Random(3), Shares[int]()
    kept: dict[NodeIndex, dict[int, None]] = defaultdict(dict)
    for _ in range(5_000):
        node, key = NodeIndex(rng.randrange(6)), rng.randrange(12)
        if rng.random() < 0.5:
            shares.put(node, key)
            kept[node].setdefault(key)
        else:
            shares.remove(node, key)
            kept[node].pop(key, None)
        assert {node: list(shares.of(node)) for node in kept} == {node: list(keys) for node, keys in kept.items()}
        most = max(map(len, kept.values()))
        given = shares.to_evict(node)
        if len(kept[node]) + 1 >= most:
            assert given is None
        else:
            assert given is not None
            assert len(kept[given[0]]) == most
            assert list(kept[given[0]])[-1] == given[1]
