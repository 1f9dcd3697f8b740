"""Steps of handshakes are lines at debug level, and cost nothing at others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from treecast.base.addresses import Endpoint
from treecast.base.limits import MAX_TRACED_STEPS
from treecast.daemon.handshake_log import log_handshakes
from treecast.daemon.logs import present_level, set_level
from treecast.links.trace import Step, Trace
from treecast.wire.handshake import HandshakePayload

PLACES = tuple(Endpoint.parse(text) for text in ("192.0.2.1:7700", "[2001:db8::1]:7700"))


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = present_level()
    yield
    set_level(before)


def logged(trace: Trace, level: str) -> list[tuple[str, str, dict[str, object]]]:
    set_level(level)
    log = CapturingLogger()
    log_handshakes(cast(FilteringBoundLogger, log), trace)
    return [(call.method_name, call.args[0], call.kwargs) for call in log.calls]


def test_a_step_is_a_line_with_the_peer_its_addresses_and_the_reason_where_there_are_any() -> None:
    trace = Trace()
    trace.add(Step.BEGUN, "n2", PLACES)
    trace.add(Step.REFUSED, "", PLACES[:1], "handshake_reflected")
    assert logged(trace, "debug") == [
        ("debug", "handshake begun", {"peer": "n2", "addresses": "192.0.2.1:7700 [2001:db8::1]:7700"}),
        ("debug", "handshake refused", {"addresses": "192.0.2.1:7700", "reason": "handshake_reflected"}),
    ]
    assert logged(trace, "debug") == []


def test_what_the_other_node_says_of_itself_is_in_the_line() -> None:
    trace = Trace()
    payload = HandshakePayload(bytes(200), 1, 5, 6, 0, 1500, "0.1")
    trace.add(Step.ACCEPTED, "n2", PLACES[:1], payload=payload)
    fields = {"peer": "n2", "addresses": "192.0.2.1:7700", "payload": str(payload)}
    assert logged(trace, "debug") == [("debug", "handshake accepted", fields)]


def test_without_debug_level_steps_are_taken_and_not_logged() -> None:
    trace = Trace()
    trace.add(Step.BEGUN, "n2", PLACES)
    assert logged(trace, "info") == []
    assert logged(trace, "debug") == []


def test_steps_above_the_bound_are_one_line() -> None:
    trace = Trace()
    for _ in range(MAX_TRACED_STEPS + 3):
        trace.add(Step.INIT_RECEIVED, "", PLACES[:1])
    assert logged(trace, "debug")[-1] == ("debug", "more handshake steps", {"times": 3})
