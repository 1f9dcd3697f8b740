"""Rtnetlink messages as they are (rtnetlink(7)): a fixed header and attributes whose bytes are kept, known or not.

What is read of a route can be sent again without loss, whatever attributes this or a later kernel has. For all else
there is pyroute2.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Self

from treecast.adapters.netlink_messages import HEADER, aligned, messages

_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
ROUTE_HEADER = struct.Struct("=8BI")  # rtmsg: family, lengths of dst and src, tos, table, proto, scope, type, flags
HOP = struct.Struct("=HBBi")  # rtnexthop: length, flags, weight - 1, interface
_ERROR = struct.Struct("=i")
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RECEIVE_BYTES = 2**18

REQUEST, ACK, DUMP = 0x01, 0x04, 0x300
EXCLUSIVE, CREATE, APPEND = 0x200, 0x400, 0x800
"""NLM_F_*: as flags of a new object."""

Attribute = tuple[int, bytes]


class RouteSocket:
    """A NETLINK_ROUTE socket of the calling thread's network namespace. Requests raise OSError with the kernel's."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all objects that RTM_GET* ``kind`` lists."""
        return self._exchange(kind, REQUEST | DUMP, body)

    def get(self, kind: int, body: bytes) -> list[bytes]:
        """The body of what RTM_GET* ``kind`` finds for one request."""
        return self._exchange(kind, REQUEST, body)

    def change(self, kind: int, flags: int, body: bytes, *, fine: Collection[int | None] = ()) -> None:
        """RTM_NEW* or RTM_DEL*. Refusals whose errno is ``fine`` are none."""
        try:
            self._exchange(kind, REQUEST | ACK | flags, body)
        except OSError as error:
            if error.errno not in fine:
                raise

    def _exchange(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        self._sequence += 1
        self._socket.send(HEADER.pack(HEADER.size + len(body), kind, flags, self._sequence, 0) + body)
        bodies: list[bytes] = []
        while True:
            for answer, sequence, payload in messages(self._socket.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if answer == _NLMSG_DONE:
                    return bodies
                if answer == _NLMSG_ERROR:
                    code = -_ERROR.unpack_from(payload)[0]
                    if code:
                        raise OSError(code, os.strerror(code) if code in errno.errorcode else f"error {code}")
                    return bodies
                bodies.append(payload)
                if not flags & (ACK | DUMP):  # one message is the answer
                    return bodies


def attributes(data: bytes) -> tuple[Attribute, ...]:
    """The attributes behind a message's fixed header, as (type, value)."""
    found: list[Attribute] = []
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        found.append((kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length]))
        at += aligned(length)
    return tuple(found)


def packed(items: Iterable[Attribute]) -> bytes:
    """The inverse of ``attributes``."""
    return b"".join(_padded(_ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value) for kind, value in items)


def _padded(data: bytes) -> bytes:
    return data.ljust(aligned(len(data)), b"\0")
