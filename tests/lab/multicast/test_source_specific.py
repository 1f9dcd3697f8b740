"""Source-specific multicast end to end: n1 includes the source n0 alone; n2's frames to the group end at n2.

n0 (source, wanted)    n1 (host: INCLUDE {n0})    n2 (source nobody wants)
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from lab import wait_until
from lab.node import INTERFACE, TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.multicast.kernel_port import JOIN_SOURCE_GROUP, LEAVE_SOURCE_GROUP, Program
from tests.lab.overlay.machines import speak
from treecast.api.client import fetch_groups, fetch_status
from treecast.api.records import Group

PORT = 5009
DATAGRAMS = 50
QUICK = ("--membership", "query-interval=2s", "--membership", "query-response-interval=500ms")


def row_of(node: TreecastNode, group: str) -> Group | None:
    return next((row for row in fetch_groups(node.directory) if row.group == group), None)


def members(node: TreecastNode, group: str) -> list[str]:
    row = row_of(node, group)
    return [member.node for member in row.members] if row is not None else []


@pytest.mark.parametrize("group", ["232.9.9.9", "ff35::9"])
def test_a_source_that_nobody_wants_is_dropped_at_its_root(overlay: OverlayFactory, group: str) -> None:
    net = overlay(3, start=False)
    net.start(options=QUICK)
    wanted, host, unwanted = net.nodes
    version = ip_address(group).version
    source = ip_address(wanted.ipv4 if version == 4 else wanted.ipv6)
    with host.machine.enter():
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        receiver.bind(("", PORT))
        program = Program(receiver, socket.if_nametoindex(INTERFACE))
    with receiver:
        receiver.settimeout(10)
        program.call(JOIN_SOURCE_GROUP, ip_address(group), source)
        wait_until(lambda: row_of(wanted, group) and row_of(unwanted, group), 10, "both sources know what n1 wants")
        speak(unwanted.machine, PORT, group, [b"unwanted"] * DATAGRAMS)
        speak(wanted.machine, PORT, group, [b"wanted %d" % number for number in range(DATAGRAMS)])
        assert [receiver.recv(100) for _ in range(DATAGRAMS)] == [b"wanted %d" % number for number in range(DATAGRAMS)]
        wait_until(
            lambda: fetch_status(unwanted.directory).drops.get("no_subscriber", 0) >= DATAGRAMS,
            10,
            "what nobody wants is dropped, and counted",
        )
        shown = row_of(host, group)
        assert shown is not None
        assert (shown.source, shown.local) == (str(source), True)
        (here,) = shown.here
        assert (here.filter_mode, [own.source for own in here.sources]) == ("include", [str(source)])
        assert [(own.filter_mode, own.sources) for own in here.hosts] == [("include", [str(source)])]
        assert here.version == (3 if version == 4 else 2)
        assert {querier.query_interval_s for querier in fetch_status(host.directory).queriers} == {2.0}
        program.call(LEAVE_SOURCE_GROUP, ip_address(group), source)
        wait_until(lambda: not members(wanted, group), 10, "n0 knows that nobody wants it")
