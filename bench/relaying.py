"""How many packets a relay passes on per second of processor time: data planes alone (``lab/planes.py``).

::

      n0 root -> n1 relay -> n2, n3, n4, n5: the relay has no key, its children are members

The root's program hands over 20 datagrams at a time (UDP_SEGMENT): the relay gets them in one message of 20 segments.
"""

from __future__ import annotations

import os
import socket
import time

from bench.cost import threads_time_s
from bench.measure import DATAGRAM_BYTES, GROUP, PORT
from lab.planes import INTERFACE, DataPlane, DataPlanes
from lab.waiting import wait_until

CHILDREN = 4
SEGMENTS = 20
TREE = 8
UDP_SEGMENT = 103  # linux/udp.h
SETTLED_LIMIT_S = 10.0


def relayed_per_core_second(duration_s: float) -> float:
    """Datagrams that the relay has sent, over the processor time of its threads."""
    with DataPlanes(2 + CHILDREN) as planes:
        root, relay, *children = planes.planes
        planes.relay_tree(root, TREE, relay, children, group=GROUP)
        before, spent = relay.forwarder.counters(), threads_time_s(os.getpid(), relay.threads)
        _send(root, duration_s)
        after = wait_until(lambda: _settled(relay), SETTLED_LIMIT_S, "the relay has passed on all", poll_s=0.1)
        spent = threads_time_s(os.getpid(), relay.threads) - spent
        return (after["udp_tx_datagrams"] - before["udp_tx_datagrams"]) / spent


def _send(root: DataPlane, duration_s: float) -> None:
    """Sends as fast as the socket takes datagrams. The data planes' threads run in this process, without its lock."""
    payload = bytes(DATAGRAM_BYTES * SEGMENTS)
    with root.machine.enter():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(INTERFACE)
    with own:
        request = bytes(8) + index.to_bytes(4, "little")  # struct ip_mreqn (ip(7))
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        own.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, DATAGRAM_BYTES)
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            own.sendto(payload, (GROUP, PORT))


def _settled(relay: DataPlane) -> dict[str, int]:
    """Its counters once they stand still."""
    before = relay.forwarder.counters()
    wait_until(lambda: True, 1.0)
    after = relay.forwarder.counters()
    return after if before["frames_relayed"] == after["frames_relayed"] else {}
