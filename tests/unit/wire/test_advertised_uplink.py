"""NODE's uplink class and most children: what each stands for, whatever is in them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.base.errors import MalformedError
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.wire.advertised_uplink import (
    CHILDREN_NOT_ADVERTISED,
    FASTEST_UPLINK_CLASS,
    SLOWEST_UPLINK_BPS,
    uplink_bps_of,
    uplink_class,
)
from treecast.wire.advertisement import NodeContent, emit, parse_node

MBIT = 1_000_000


def heard(relaying: Relaying) -> Relaying:
    return parse_node(emit(NodeContent.of(b"", (), relaying=relaying))).relaying()


def test_classes_of_uplinks_are_of_100_kbit_and_steps_of_a_quarter() -> None:
    assert [uplink_class(bps) for bps in (None, 0, 100_000, 124_999, 125_000, 20 * MBIT)] == [0, 1, 1, 1, 2, 24]
    assert uplink_bps_of(FASTEST_UPLINK_CLASS) == uplink_bps_of(255) == pytest.approx(102e9, rel=0.01)
    assert uplink_class(10**15) == FASTEST_UPLINK_CLASS


@given(st.integers(SLOWEST_UPLINK_BPS, 10**11))
def test_a_class_stands_for_no_more_than_the_uplink_and_for_four_fifths_at_least(uplink_bps: int) -> None:
    stands_for = uplink_bps_of(uplink_class(uplink_bps))
    assert stands_for is not None
    assert 0.8 * uplink_bps - 1 <= stands_for <= uplink_bps + 1


def test_what_others_learn_of_a_node_is_what_its_operator_says() -> None:
    assert heard(UNBOUNDED) == UNBOUNDED
    assert heard(Relaying(max_children=3)) == Relaying(max_children=3)
    assert not heard(Relaying(relays=False)).relays
    assert not heard(Relaying(relays=False, max_children=3)).relays
    assert heard(Relaying(uplink_bps=20 * MBIT)).uplink_bps == uplink_bps_of(24)


def test_a_node_that_says_nothing_of_it_relays_without_a_bound_of_its_own() -> None:
    short = msgspec.msgpack.encode([b"", []])
    assert parse_node(short).relaying() == UNBOUNDED


@given(st.integers(0, 255), st.integers(0, 0xFFFF))
def test_any_values_in_the_fields_mean_something(uplink: int, children: int) -> None:
    content = NodeContent(b"", (), uplink_class=uplink, most_children=children)
    relaying = parse_node(emit(content)).relaying()
    assert relaying.relays == (children > 0)
    assert relaying.max_children == (None if children == CHILDREN_NOT_ADVERTISED else children)
    assert (relaying.uplink_bps is None) == (uplink == 0)


@pytest.mark.parametrize(("uplink", "children"), [(256, 1), (-1, 1), (1, 0x1_0000), (1, -1), ("1", 1), (1, None)])
def test_fields_of_another_kind_are_malformed(uplink: object, children: object) -> None:
    fields = [b"", [], b"", 0, b"", 1500, 2, 2, 0, 0, uplink, children]
    with pytest.raises(MalformedError, match="advertisement_malformed"):
        parse_node(msgspec.msgpack.encode(fields))
