"""Classes of round trips and losses, and the chunks of LINKS that are none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.base.errors import MalformedError
from treecast.wire.advertised_links import (
    HIGHEST_LOSS_CLASS,
    LONGEST_RTT_CLASS,
    MAX_LINKS_PER_CHUNK,
    NOT_MEASURED,
    LinksContent,
    loss_class,
    loss_of,
    parse_links,
    rtt_class,
    rtt_ms_of,
)
from treecast.wire.advertisement import emit


def test_classes_of_round_trips_are_of_1_ms_and_steps_of_a_fifth() -> None:
    assert [rtt_class(ms) for ms in (0.0, 0.3, 1.0, 1.01, 1.2, 1.21, 10.0, 100.0)] == [1, 1, 1, 2, 2, 3, 14, 27]
    assert rtt_class(9_100.0) == rtt_class(1e9) == LONGEST_RTT_CLASS
    assert rtt_ms_of(LONGEST_RTT_CLASS) == rtt_ms_of(255) == pytest.approx(9_100.4, abs=0.1)


def test_classes_of_loss_double() -> None:
    assert [loss_class(part) for part in (0.0, 0.01, 0.011, 0.02, 0.04, 0.3, 0.7, 1.0)] == [0, 0, 1, 1, 2, 5, 7, 7]
    assert (loss_of(0), loss_of(5), loss_of(HIGHEST_LOSS_CLASS), loss_of(255)) == (0.01, 0.32, 1.0, 1.0)


@given(rtt_ms=st.floats(0.0, 9_000.0), loss=st.floats(0.0, 1.0))
def test_a_class_holds_what_it_is_of(rtt_ms: float, loss: float) -> None:
    of = rtt_class(rtt_ms)
    assert NOT_MEASURED < of <= LONGEST_RTT_CLASS
    assert rtt_ms <= rtt_ms_of(of) * 1.000_001
    assert of == 1 or rtt_ms > rtt_ms_of(of - 1)
    assert loss <= loss_of(loss_class(loss)) * 1.000_001


def chunk(count: int, *classes: int) -> bytes:
    return msgspec.msgpack.encode([list(range(count)), *(bytes(length) for length in classes)])


def test_a_chunk_has_a_byte_for_each_node_or_none() -> None:
    for classes in ((), (3,), (3, 3), (3, 3, 3), (0, 0, 0), (0, 3, 0), (3, 3, 3, 9)):
        assert parse_links(chunk(3, *classes)).peers == (0, 1, 2), "what later versions add is passed over"
    for classes in ((2,), (4,), (3, 1), (3, 3, 2), (0, 0, 1)):
        with pytest.raises(MalformedError):
            parse_links(chunk(3, *classes))


def test_a_chunk_of_more_is_none() -> None:
    most = MAX_LINKS_PER_CHUNK
    assert len(parse_links(chunk(most, most, most, most)).links()) == most
    for malformed in (chunk(most + 1), chunk(most, most + 1), b"", b"\x90", emit(LinksContent(()))[:-1]):
        with pytest.raises(MalformedError):
            parse_links(malformed)


def test_a_link_of_which_nothing_is_said_is_not_measured() -> None:
    assert parse_links(emit(LinksContent((7, 9), b"\x1b\x00"))).links() == ((7, 27, 0), (9, NOT_MEASURED, 0))
    assert str(LinksContent((7, 9), b"\x1b\x00", b"\x00\x03")) == "LINKS content to n7 114 ms, n9 8%"
