"""Traffic of groups: which numbers belong to which row, and who is a sender."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from treecast.base.flows import SENDER_LIFETIME, CountedFlow, Flow, GroupKey
from treecast.base.ids import NodeIndex
from treecast.daemon.group_traffic import GroupTraffic

GROUP = ip_address("239.1.1.1")
KEY: GroupKey = (0, GROUP)
ONE, TWO = ip_address("10.77.0.1"), ip_address("10.77.0.2")
ME = NodeIndex(1)


def counted(source: str, *, root: int = 1, port: int | None = None, silent_s: float = 0.0) -> CountedFlow:
    address, node = ip_address(source), NodeIndex(root)
    return CountedFlow(0, GROUP, address, node, port, 10, 1000, 60.0, 10, 1000, silent_s, 1.0, 800.0)


class Numbers:
    """A data plane's numbers."""

    def __init__(self, sent: list[CountedFlow], delivered: list[CountedFlow]) -> None:
        self._sent, self._delivered = sent, delivered

    def sent_by_flow(self) -> Iterator[tuple[Flow, tuple[int, int]]]:
        yield Flow(0, GROUP, None), (7, 700)

    def sent_flows(self) -> Iterator[CountedFlow]:
        return iter(self._sent)

    def delivered_flows(self) -> Iterator[CountedFlow]:
        return iter(self._delivered)


def traffic(sent: list[CountedFlow], delivered: list[CountedFlow]) -> GroupTraffic:
    read = GroupTraffic()
    assert all(step is None for step in read.read(Numbers(sent, delivered)))
    return read


def test_what_was_delivered_is_in_the_row_of_its_source_or_in_that_of_any_source() -> None:
    read = traffic([], [counted("10.77.0.1", root=2), counted("10.77.0.1", root=3), counted("10.77.0.2", root=2)])
    assert read.delivered(Flow(0, GROUP, None), set()) == (30, 3000)
    assert read.delivered(Flow(0, GROUP, None), {TWO}) == (20, 2000)
    assert read.delivered(Flow(0, GROUP, TWO), {TWO}) == (10, 1000)
    assert read.delivered(Flow(7, GROUP, None), set()) == (0, 0)
    assert read.sent(Flow(0, GROUP, None)) == (7, 700)
    assert read.sent(Flow(0, GROUP, ONE)) == (0, 0)


def test_a_source_that_fell_silent_is_no_sender_and_its_frames_stay_counted() -> None:
    silent = counted("10.77.0.1", root=2, silent_s=SENDER_LIFETIME)
    read = traffic([counted("10.77.0.9", port=0, silent_s=SENDER_LIFETIME)], [silent])
    assert list(read.groups()) == []
    assert read.senders(KEY) == []
    assert read.delivered(Flow(0, GROUP, None), set()) == (10, 1000)


def test_a_host_that_is_heard_at_another_port_of_its_node_is_one_sender() -> None:
    here, crossed = counted("10.77.0.1", port=2), counted("10.77.0.1", root=ME)
    far = counted("10.77.0.2", root=5)
    read = traffic([here], [far, crossed])
    assert read.senders(KEY) == [here, far]
    assert read.delivered(Flow(0, GROUP, None), set()) == (20, 2000)
