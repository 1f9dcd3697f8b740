"""Endpoints as keys of tables: equal ones are one key, however they were made and whatever was done with them."""

from __future__ import annotations

import copy

import msgspec

from treecast.base.addresses import Endpoint


def test_equal_endpoints_are_one_key_also_when_copied_or_changed() -> None:
    one = Endpoint.parse("192.0.2.1:7700")
    table = {one: "one"}
    other = msgspec.structs.replace(one, port=7701)
    assert other not in table
    again = msgspec.structs.replace(other, port=7700)
    for same in (Endpoint.parse("192.0.2.1:7700"), copy.copy(one), copy.deepcopy(one), again):
        assert table[same] == "one"
