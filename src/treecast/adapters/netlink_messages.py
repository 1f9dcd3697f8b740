"""Messages that a subscribed netlink socket has received (rtnetlink(7)), or that the kernel dropped some."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port id."""

_RECEIVE_BYTES = 2**16

NetlinkMessage = tuple[int, bytes]
"""Its type, and what follows its header."""


def received(source: socket.socket, most_reads: int) -> Iterator[NetlinkMessage | None]:
    """The messages that a non-blocking socket holds; None where some were lost for want of room (ENOBUFS)."""
    for _ in range(most_reads):
        try:
            data = source.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            yield None
            continue
        for kind, _, body in messages(data):
            yield kind, body


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and body of each message in a datagram."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, _, sequence, _ = HEADER.unpack_from(data, at)
        yield kind, sequence, data[at + HEADER.size : at + length]
        at += max(aligned(length), HEADER.size)


def aligned(length: int) -> int:
    """Rounded up to the next multiple of four (NLMSG_ALIGN, RTA_ALIGN)."""
    return length + 3 & ~3
