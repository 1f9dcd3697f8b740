"""Control messages and chunks of groups that are right but for their size."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from treecast.base.errors import MalformedError
from treecast.wire.advertised_groups import MAX_GROUPS_BYTES, GroupsContent, ListedGroup, parse_groups
from treecast.wire.advertisement import emit
from treecast.wire.control import (
    MAX_CONTROL_BYTES,
    Acknowledge,
    ControlMessage,
    Flood,
    emit_control,
    parse_control,
)

LONGEST = (2**32 - 1, 2**63 - 1, 2**63 - 1)


def test_a_message_is_refused_that_is_longer_than_fits_the_smallest_underlay() -> None:
    fits, too_long = Flood((bytes(1176), bytes(12))), Flood((bytes(1176), bytes(13)))
    assert len(emit_control(fits)) == MAX_CONTROL_BYTES == 1196
    assert parse_control(emit_control(fits)) == fits
    for message in (too_long, Acknowledge((LONGEST,) * 64)):
        with pytest.raises(MalformedError, match="control_malformed"):
            parse_control(emit_control(message))


def refused(tag: int) -> str:
    """Why a message with this tag is, and fields that no message has."""
    with pytest.raises(MalformedError) as caught:
        parse_control(msgspec.msgpack.encode([tag, None]))
    return caught.value.reason


def test_a_message_that_is_known_and_cannot_be_read_is_none_of_a_later_version() -> None:
    kinds = len(get_args(ControlMessage))
    without_fields = 5
    malformed = [tag for tag in range(1, 256) if tag != without_fields and refused(tag) == "control_malformed"]
    assert malformed == [tag for tag in range(1, kinds + 1) if tag != without_fields]
    assert refused(0) == refused(kinds + 1) == "control_unknown"


def test_a_chunk_of_groups_is_refused_that_is_longer_than_fits_the_longest_advertisement() -> None:
    def chunk(vlan: int) -> bytes:
        many = ListedGroup(vlan, b"\xff\x3e" + bytes(14), 0, tuple(bytes(15) + bytes((n,)) for n in range(1, 57)))
        few = [ListedGroup(vlan, b"\xef\x01\x01" + bytes((last,)), 1, ()) for last in range(3)]
        return emit(GroupsContent((*few, many, *more)))

    more: tuple[ListedGroup, ...] = ()
    assert len(chunk(256)) == MAX_GROUPS_BYTES == 1072
    assert len(parse_groups(chunk(256)).groups) == 4
    more = (ListedGroup(256, b"\xff\x3e" + bytes(13) + b"\x01", 1, ()),)
    with pytest.raises(MalformedError, match="advertisement_malformed"):
        parse_groups(chunk(256))
