"""Two databases, whatever they hold: descriptions find exactly where they differ, in few messages and bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.digests import LAST_INDEX, Digests
from treecast.broadcast.pace import full_pace
from treecast.broadcast.store import Origin, Record, Store, hash_of_body
from treecast.wire.advertisement import Kind
from treecast.wire.control import Digest, Ranges, emit_control, parse_control

Held = Mapping[int, tuple[int, frozenset[int]]]
"""Epoch and sequences of an origin's records, by origin."""

START = Instant(0.0)


def store_of(held: Held, order: Iterable[int]) -> Store:
    store = Store()
    for number in order:
        index, (epoch, sequences) = NodeIndex(number), held[number]
        store.begin(index, Origin(epoch, b"", Instant(float("inf")), full_pace(START)))
        for sequence in sequences:
            key = sequence.to_bytes(4, "big")
            body_hash = hash_of_body(number.to_bytes(4, "big") + epoch.to_bytes(8, "big") + key)
            store.put(Record(index, epoch, sequence, Kind.GROUPS, key, b"content", b"wire", body_hash), START)
    return store


class Pair:
    """Two nodes that compare: ``flooded`` has the origins that each has flooded to the other."""

    def __init__(self, first: Store, second: Store) -> None:
        self.digests = (Digests(first), Digests(second))
        self.flooded: tuple[set[int], set[int]] = (set(), set())
        self.kinds: Counter[str] = Counter()
        self.size_bytes = 0
        self._run()

    def _run(self) -> None:
        messages: list[tuple[int, Digest | Ranges]] = [(1, self.digests[0].whole())]
        while messages:
            reader, sent = messages.pop(0)
            wire = emit_control(sent)
            self.size_bytes += len(wire)
            self.kinds[type(sent).__name__] += 1
            assert sum(self.kinds.values()) < 2_000
            messages += [(1 - reader, answer) for answer in self._read(reader, wire)]

    def _read(self, reader: int, wire: bytes) -> list[Digest | Ranges]:
        message, digests = parse_control(wire), self.digests[reader]
        if isinstance(message, Ranges):
            return list(digests.finer(message))
        assert isinstance(message, Digest)
        compared = digests.compare(message)
        self.flooded[reader].update(compared.lacking)
        return list(digests.request(compared.wanted)) if message.expects_reply else []


origins = st.integers(0, 300) | st.integers(0, LAST_INDEX)
lives = st.tuples(st.integers(1, 3), st.frozensets(st.integers(1, 5)))
databases = st.dictionaries(origins, lives, max_size=200)


@given(common=databases, here=databases, there=databases, seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_each_side_floods_exactly_what_the_other_lacks(common: Held, here: Held, there: Held, seed: int) -> None:
    both = ({**common, **here}, {**common, **there})
    rng = Random(seed)
    stores = [store_of(held, rng.sample(sorted(held), len(held))) for held in both]
    pair = Pair(*stores)
    for side in (0, 1):
        mine, theirs = both[side], both[1 - side]
        more = {o for o, (epoch, records) in mine.items() if o not in theirs or theirs[o][0] < epoch}
        other = {o for o, (epoch, records) in mine.items() if o in theirs and theirs[o][0] == epoch}
        other = {o for o in other if theirs[o][1] != mine[o][1]}
        assert pair.flooded[side] == more | other
    is_equal = both[0] == both[1]
    assert (stores[0].fingerprint == stores[1].fingerprint) == is_equal


def network(nodes: int) -> dict[int, tuple[int, frozenset[int]]]:
    return {index: (1_700_000_000_000 + index, frozenset(range(2, 8))) for index in range(1, nodes + 1)}


@given(origin=st.integers(1, 1_000), is_missing=st.booleans(), is_here=st.booleans())
@settings(max_examples=50, deadline=None)
def test_one_difference_in_1000_origins_costs_four_messages_and_700_bytes(
    origin: int, is_missing: bool, is_here: bool
) -> None:
    whole, other = network(1_000), network(1_000)
    if is_missing:
        del other[origin]
    else:
        other[origin] = (other[origin][0], frozenset(range(2, 7)))
    sides = (whole, other) if is_here else (other, whole)
    pair = Pair(*(store_of(held, sorted(held)) for held in sides))
    assert set(chain(*pair.flooded)) == {origin}
    assert sum(pair.kinds.values()) <= 4
    assert pair.size_bytes <= 700


def test_equal_databases_cost_one_message() -> None:
    pair = Pair(*(store_of(network(1_000), range(1, 1_001)) for _ in range(2)))
    assert sum(pair.kinds.values()) == 1
    assert pair.size_bytes <= 260


def test_who_joins_a_thousand_takes_all_for_one_short_message() -> None:
    pair = Pair(store_of({7: (1, frozenset())}, [7]), store_of(network(1_000), range(1, 1_001)))
    assert pair.flooded[1] == set(range(1, 1_001))
    assert pair.size_bytes <= 60


def test_two_halves_of_a_thousand_list_each_origin_twice_at_most() -> None:
    held = network(1_000)
    halves = [{o: life for o, life in held.items() if o % 2 == half} for half in (0, 1)]
    pair = Pair(*(store_of(half, sorted(half)) for half in halves))
    assert [len(flooded) for flooded in pair.flooded] == [500, 500]
    assert pair.kinds["Digest"] <= 2 * 500 / 40 + 4
    assert pair.size_bytes <= 1_000 * 24
