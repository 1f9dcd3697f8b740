"""A PIM router at n0's interface hears, in IGMP and MLD, what n1's hosts want; ``treecast groups`` shows the router."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from lab import wait_until
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.machines import listen
from tests.sim.multicast.virtual_switch import hello_frame, mrd_frame
from treecast.api.client import fetch_status
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, igmp, mld
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.group_membership import GroupRecord, MembershipReport, ReceivedMessage, RecordType

PORT = 5010
ETH_P_ALL = 0x0003
PARSERS: dict[int, Callable[[EthernetFrame], ReceivedMessage]] = {
    EtherType.IPV4: igmp.parse_frame,
    EtherType.IPV6: mld.parse_frame,
}


@contextmanager
def at_the_interface(node: TreecastNode) -> Iterator[socket.socket]:
    """A packet socket where the node's hosts are."""
    with node.machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with own:
        own.bind((INTERFACE, 0))
        own.setblocking(False)
        yield own


def reports(own: socket.socket) -> list[GroupRecord]:
    """The records of all reports that have come to the interface and do not come from its kernel."""
    found: list[GroupRecord] = []
    with suppress(BlockingIOError):
        while True:
            data, (_, _, kind, _, _) = own.recvfrom(2048)
            if kind == socket.PACKET_OUTGOING:
                continue
            frame = ethernet.parse(data)
            parse = PARSERS.get(frame.ethertype)
            with suppress(MalformedError):
                message = parse(frame).message if parse else None
                found += message.records if isinstance(message, MembershipReport) else ()
    return found


@pytest.mark.parametrize(("version", "group"), [(4, "239.44.4.4"), (6, "ff15::44:4")], ids=["igmp", "mld"])
def test_a_pim_router_hears_what_the_other_nodes_want(overlay: OverlayFactory, version: int, group: str) -> None:
    net = overlay(2)
    with listen(net[1].machine, PORT, group), at_the_interface(net[0]) as router:
        router.send(ethernet.emit(hello_frame(version, 105)))
        heard: list[GroupRecord] = []

        def is_told() -> bool:
            heard.extend(reports(router))
            return any(str(record.group) == group for record in heard)

        wait_until(is_told, 10, f"the router is told of {group}")
        told = [record.record_type for record in heard if str(record.group) == group]
        assert told[0] is RecordType.CHANGE_TO_EXCLUDE_MODE
        seen = [r.seen_by for querier in fetch_status(net[0].directory).queriers for r in querier.routers]
        assert seen == ["pim"]
        heard.clear()
    with at_the_interface(net[0]) as router:
        router.send(ethernet.emit(hello_frame(version, 0)))
        wait_until(lambda: not any(q.routers for q in fetch_status(net[0].directory).queriers), 10, "it said goodbye")


@pytest.mark.parametrize(("version", "kinds"), [(4, (0x30, 0x32)), (6, (151, 153))], ids=["igmp", "mld"])
def test_a_router_is_found_by_multicast_router_discovery(
    overlay: OverlayFactory, version: int, kinds: tuple[int, int]
) -> None:
    node = overlay(1)[0]

    def seen() -> list[str]:
        return [r.seen_by for querier in fetch_status(node.directory).queriers for r in querier.routers]

    advertisement, termination = (bytes((kind, 20, 0, 0)) for kind in kinds)
    with at_the_interface(node) as router:
        router.send(ethernet.emit(mrd_frame(version, advertisement + bytes(4))))
        wait_until(lambda: seen() == ["mrd"], 10, "it is found")
        router.send(ethernet.emit(mrd_frame(version, termination[:1] + bytes(3))))
        wait_until(lambda: seen() == [], 10, "it said that it ends")
