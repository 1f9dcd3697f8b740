"""The kernel's announcements are told apart by their kind; lost ones may have been of any."""

from __future__ import annotations

import errno
import socket
import struct
from typing import cast

import pytest

from treecast.adapters.network_change import EVERYTHING, NetworkChange, NetworkChangeSocket


def message(kind: int, body: bytes = b"") -> bytes:
    """A netlink message as in linux/netlink.h, padded."""
    length = 16 + len(body)
    return (struct.pack("=IHHII", length, kind, 0, 0, 0) + body).ljust(length + 3 & ~3, b"\0")


@pytest.mark.parametrize(
    ("datagrams", "changes"),
    [
        ([], NetworkChange(0)),
        ([message(16, bytes(17))], NetworkChange.LINKS),
        ([message(20, bytes(8)), message(25, bytes(12))], NetworkChange.ADDRESSES | NetworkChange.ROUTES),
        ([message(21, bytes(5)) + message(81)], NetworkChange.ADDRESSES | NetworkChange.MULTICAST_ROUTING),
        ([message(104), message(33)], NetworkChange.ROUTES),
        ([message(28), b"\0" * 16, b"short", struct.pack("=IHHII", 3, 17, 0, 0, 0)], NetworkChange.LINKS),
    ],
)
def test_changes_are_what_any_message_announces(datagrams: list[bytes], changes: NetworkChange) -> None:
    kernel, own = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    own.setblocking(False)
    for datagram in datagrams:
        kernel.send(datagram)
    read = NetworkChangeSocket(own)
    assert read.take() == changes
    assert read.take() == NetworkChange(0)
    read.close()
    kernel.close()


def test_what_the_kernel_had_no_room_to_say_may_be_anything() -> None:
    class Overrun:
        """Loses something once."""

        failed = False

        def recv(self, _: int) -> bytes:
            if self.failed:
                raise BlockingIOError
            self.failed = True
            raise OSError(errno.ENOBUFS, "no buffer space")

    read = NetworkChangeSocket(cast("socket.socket", Overrun()))
    assert (
        read.take()
        == EVERYTHING
        == NetworkChange.LINKS | NetworkChange.ADDRESSES | NetworkChange.ROUTES | NetworkChange.MULTICAST_ROUTING
    )


def test_the_kernel_lets_anybody_subscribe() -> None:
    opened = NetworkChangeSocket()
    assert opened.fileno() >= 0
    opened.close()
