"""How a verb hands an open socket to the node: one datagram, the interface's name with the descriptor (unix(7)).

It waits in the node's socket, which is its owner's alone, until a verb makes the node look (``BRIDGE_CHANGED``).
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from treecast.api.socket_path import (
    advice_on_making,
    bind_staged,
    in_the_way,
    is_in_place,
    is_other_than_socket,
    short_path,
)
from treecast.base.errors import OperatorError

PORTS_SOCKET = "ports.sock"
_MAX_NAME_BYTES = 64
_MAX_DESCRIPTORS = 4


class DescriptorInbox:
    """The node's side. OperatorError when the directory does not allow a socket."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / PORTS_SOCKET
        self._waiting: dict[str, int] = {}
        """Descriptors that came to a socket that somebody has removed since."""
        self._socket, self._bound = self._bind()

    def is_in_place(self) -> bool:
        """Whether verbs find the socket."""
        return is_in_place(self._path, self._bound)

    def make_again(self) -> None:
        """Another socket, for one that somebody has removed. OperatorError."""
        own, bound = self._bind()
        self._waiting = self.take()
        self._socket.close()
        self._socket, self._bound = own, bound

    def _bind(self) -> tuple[socket.socket, tuple[int, ...]]:
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            bound = bind_staged(own, self._directory, PORTS_SOCKET)
        except OSError as error:
            own.close()
            reason = (error.strerror or str(error)).lower()
            raise OperatorError(f"cannot make {self._path} ({reason}): {advice_on_making(error)}") from error
        return own, bound

    def take(self) -> dict[str, int]:
        """The descriptors that have come, the latest of each interface: the caller's to close."""
        found, self._waiting = self._waiting, {}
        while True:
            try:
                name, descriptors, _, _ = socket.recv_fds(
                    self._socket, _MAX_NAME_BYTES, _MAX_DESCRIPTORS, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                )
            except OSError:  # nothing more
                return found
            interface = name.decode(errors="replace")
            surplus = descriptors[1:] + ([found.pop(interface)] if interface in found and descriptors else [])
            for descriptor in surplus:
                os.close(descriptor)
            if descriptors:
                found[interface] = descriptors[0]

    def close(self) -> None:
        """Descriptors that were not taken are closed too."""
        for descriptor in self.take().values():
            os.close(descriptor)
        self._socket.close()
        if self.is_in_place():  # else it is another node's
            with suppress(OSError):
                self._path.unlink()


def hand_over(directory: Path, interface: str, descriptor: int) -> None:
    """Hands the descriptor over to the node that runs in ``directory``; OperatorError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            with short_path(directory, PORTS_SOCKET) as path:
                sender.connect(path)
            socket.send_fds(sender, [interface.encode()], [descriptor])
        except (FileNotFoundError, ConnectionRefusedError):
            if is_other_than_socket(directory / PORTS_SOCKET):
                raise OperatorError(in_the_way(directory, PORTS_SOCKET)) from None
            raise OperatorError(f"no node is running in {directory}: start it with treecast up {directory}") from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OperatorError(f"the node in {directory} takes no interface now ({reason}): try again") from error
