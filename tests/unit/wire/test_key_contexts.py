"""The context of a key offer: which flows a root can have a key for (docs/protocol.md section 6)."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest

from treecast.base.errors import MalformedError
from treecast.base.flows import Flow
from treecast.wire.key_context import emit_context, parse_context


@pytest.mark.parametrize(
    "flow",
    [
        Flow(0, ip_address("232.1.1.1"), ip_address("10.0.0.1")),
        Flow(7, ip_address("ff3e::1"), ip_address("2001:db8::1")),
        Flow(0, ip_address("239.1.1.1"), None),
    ],
)
def test_a_source_of_the_group_s_family_is_taken(flow: Flow) -> None:
    assert parse_context(emit_context(flow)) == flow


@pytest.mark.parametrize("group", ["232.1.1.1", "ff3e::1"])
@pytest.mark.parametrize("source", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"])
def test_a_source_that_no_group_has_is_malformed(group: str, source: str) -> None:
    with pytest.raises(MalformedError, match="key_context_malformed"):
        parse_context(emit_context(Flow(0, ip_address(group), ip_address(source))))


@pytest.mark.parametrize(("group", "source"), [("232.1.1.1", "2001:db8::1"), ("ff3e::1", "10.0.0.1")])
def test_a_source_of_the_other_family_is_malformed(group: str, source: str) -> None:
    with pytest.raises(MalformedError, match="key_context_malformed"):
        parse_context(emit_context(Flow(0, ip_address(group), ip_address(source))))


def test_a_host_s_address_is_no_group() -> None:
    with pytest.raises(MalformedError, match="key_context_malformed"):
        parse_context(msgspec.msgpack.encode((0, bytes((10, 0, 0, 1)), None)))
