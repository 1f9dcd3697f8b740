"""Switch mode: how soon a host's join and leave on one LAN change a stream from another, and what a join costs.

Three nodes, each with a LAN of two hosts (``lab.lan`` has the drawing). Joins and leaves are real hosts' IGMP.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from threading import Event, Thread

from lab.load import Receiver, Sender
from lab.machine import Machine
from lab.sites import Sites, make_sites
from lab.topology import Lab
from lab.waiting import paced, pause_until, wait_until
from treecast.api.client import fetch_groups

GROUP, PORT = "239.90.0.1", 5090
RATE_PPS = 1000
MANY_GROUPS = IPv4Address("239.91.0.0")
JOIN_INTERVAL_S = 0.05
QUIET_S = 0.3
LIMIT_S = 20.0
TRACKING_S = 11.0
"""A node knows all hosts of a LAN after the Query Response Interval (10 s): then a leave takes effect at once."""

_ETH_P_IP = 0x0800  # linux/if_ether.h


@dataclass(frozen=True, slots=True)
class Switching:
    """``join_s``: from a host's join to its first datagram; ``leave_s``: from its leave to the last one on its LAN;
    ``join_bytes``: what all nodes together send on the underlay for one join, Ethernet headers included.
    """

    join_s: tuple[float, ...]
    leave_s: tuple[float, ...]
    join_bytes: float


def measure(joins: int) -> Switching:
    """Measures in a lab of its own."""
    with Lab() as lab:
        sites = make_sites(lab, 3)
        sites.bridge_all()
        pause_until(time.monotonic() + TRACKING_S)
        return measure_on(sites, joins)


def measure_on(sites: Sites, joins: int) -> Switching:
    """Joins and leaves so often, then twice as many joins of a group each."""
    took = [_join_and_leave(sites) for _ in _running(sites, joins)]
    cost = _bytes_per_join(sites, 2 * joins)
    return Switching(tuple(join for join, _ in took), tuple(leave for _, leave in took), cost)


def _running(sites: Sites, joins: int) -> Iterator[int]:
    """Numbers the joins, while a host of the first LAN sends."""
    stream = Sender(sites.lans[0].hosts[0], GROUP, PORT, interface="eth0", rate_pps=RATE_PPS)
    yield from range(joins)
    stream.stop()


def _join_and_leave(sites: Sites) -> tuple[float, float]:
    """A host of the second LAN joins and leaves; its neighbour watches the LAN."""
    host, neighbour = sites.lans[1].hosts[:2]
    receiver = Receiver(host, GROUP, PORT, interface="eth0")
    wait_until(lambda: receiver.snapshot().received > 0, LIMIT_S, "the stream comes")
    with _watching(neighbour) as last:
        wait_until(lambda: last[0] > 0, LIMIT_S, "the neighbour's switch port carries it")
        left_at = time.monotonic()
        join_s = receiver.stop().join_ns / 1e9
        wait_until(lambda: time.monotonic() - last[0] > QUIET_S, LIMIT_S, "the stream ends")
        wait_until(lambda: not _members(sites), LIMIT_S, "its root knows")
        return join_s, max(last[0] - left_at, 0.0)


@contextmanager
def _watching(machine: Machine) -> Iterator[list[float]]:
    """The time (``time.monotonic``) of the last frame to the group on a machine's LAN, in a list of one; 0: never."""
    last, ended = [0.0], Event()
    with machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    own.bind(("eth0", _ETH_P_IP))
    own.settimeout(0.1)

    def watch() -> None:
        while not ended.is_set():
            try:
                packet = own.recv(64)
            except TimeoutError:
                continue
            if packet[9] == socket.IPPROTO_UDP and packet[16:20] == IPv4Address(GROUP).packed:
                last[0] = time.monotonic()

    thread = Thread(target=watch)
    thread.start()
    try:
        yield last
    finally:
        ended.set()
        thread.join()
        own.close()


def _members(sites: Sites) -> list[str]:
    """The nodes that the first one sends the stream to."""
    return [
        member.node for row in fetch_groups(sites.overlay[0].directory) if row.group == GROUP for member in row.members
    ]


def _bytes_per_join(sites: Sites, joins: int) -> float:
    """Joins at an even pace, less what the same time costs without them."""
    host = sites.lans[1].hosts[0]
    host.sysctl("net/ipv4/igmp_max_memberships", joins + 20)
    before = _sent(sites)
    for _ in paced(range(joins), JOIN_INTERVAL_S):
        pass
    idle = _sent(sites) - before
    with host.enter():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        index = socket.if_nametoindex("eth0")
    with own:
        before = _sent(sites)
        for number in paced(range(joins), JOIN_INTERVAL_S):
            request = (MANY_GROUPS + number).packed + bytes(4) + index.to_bytes(4, "little")  # struct ip_mreqn (ip(7))
            own.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        wait_until(lambda: _known(sites, joins) == joins, LIMIT_S, "all nodes know all groups")
        return (_sent(sites) - before - idle) / joins


def _known(sites: Sites, joins: int) -> int:
    """How many of the groups the last to know knows."""
    asked = {str(MANY_GROUPS + number) for number in range(joins)}
    return min(len(asked & {row.group for row in fetch_groups(node.directory)}) for node in sites.overlay.nodes)


def _sent(sites: Sites) -> int:
    return sum(node.machine.counters().tx_bytes for node in sites.overlay.nodes)
