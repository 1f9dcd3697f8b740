"""Where the kernel refuses runs of datagrams (UDP_SEGMENT), they leave one by one, and the same bytes arrive.

The refusal is the kernel's own: it sends no run from a socket that leaves out UDP checksums (EINVAL, udp_send_skb). The
forwarder runs in this process, so its sockets can be told so behind its back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lab.load import Receiver, Sender
from lab.planes import INTERFACE, LIMIT_S, DataPlane, DataPlanes, ipv4
from lab.waiting import wait_until

SO_NO_CHECK = 11  # asm-generic/socket.h
PAYLOAD = bytes(range(256)) * 4096
COUNT = 5000


def sockets_of(plane: DataPlane) -> Iterator[socket.socket]:
    """Second descriptors of the forwarder's UDP sockets."""
    for link in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError), socket.socket(fileno=os.dup(int(link.name))) as own:
            if own.type == socket.SOCK_DGRAM and own.getsockname() == plane.address:
                yield own


def refuse_runs(plane: DataPlane) -> int:
    """How many sockets send none from now on."""
    count = 0
    for own in sockets_of(plane):
        own.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        count += 1
    return count


def transferred(client: DataPlane, server: DataPlane) -> bytes:
    """PAYLOAD over TCP."""
    with server.machine.enter():
        listener = socket.create_server((ipv4(server.node), 5001))
    with client.machine.enter():
        sender = socket.create_connection((ipv4(server.node), 5001), timeout=LIMIT_S)
    receiver, _ = listener.accept()
    receiver.settimeout(LIMIT_S)
    got = bytearray()
    with listener, sender, receiver:
        for start in range(0, len(PAYLOAD), 1 << 17):
            sender.sendall(PAYLOAD[start : start + (1 << 17)])
            while len(got) < min(start + (1 << 17), len(PAYLOAD)):
                got += receiver.recv(1 << 20)
    return bytes(got)


def test_the_same_bytes_arrive_when_the_kernel_begins_to_refuse_runs() -> None:
    with DataPlanes(2) as planes:
        one, other = planes.planes
        planes.tree(one, 5, [other], group="239.1.1.5")
        assert transferred(one, other) == PAYLOAD
        assert "udp-gso" in one.forwarder.offloads
        before = one.forwarder.counters()
        assert refuse_runs(one) > 1
        assert transferred(one, other) == PAYLOAD
        assert "udp-gso" not in one.forwarder.offloads
        receiver = Receiver(other.machine, "239.1.1.5", 5000, interface=INTERFACE)
        sender = Sender(one.machine, "239.1.1.5", 5000, interface=INTERFACE, rate_pps=5000, count=COUNT)
        assert sender.wait(LIMIT_S).sent == COUNT
        wait_until(lambda: receiver.snapshot().received >= COUNT, LIMIT_S, "all received")
        got = receiver.stop()
        assert (got.received, got.reordered, got.duplicated) == (COUNT, 0, 0)
        after = one.forwarder.counters()
        assert after["gso_off"] - before["gso_off"] == 1, "the socket of this peer, once"
        sends, datagrams = (after[name] - before[name] for name in ("udp_sends", "udp_tx_datagrams"))
        assert sends == datagrams, "no run has left"
        drops = one.forwarder.drops()
        assert (drops["socket_other"], drops["socket_unreachable"]) == (0, 0)
        assert "udp-gso" in other.forwarder.offloads
