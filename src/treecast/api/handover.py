"""How a verb hands an open socket to the node: one datagram, the interface's name with the descriptor (unix(7)).

It waits in the node's socket, which is its owner's alone, until a verb makes the node look (``BRIDGE_CHANGED``).
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from treecast.api.socket_path import short_path
from treecast.base.errors import OperatorError

PORTS_SOCKET = "ports.sock"
_MAX_NAME_BYTES = 64
_MAX_DESCRIPTORS = 4


class DescriptorInbox:
    """The node's side. OperatorError when the directory does not allow a socket."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / PORTS_SOCKET
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        temporary = f".{PORTS_SOCKET}.{os.getpid()}"
        staged = directory / temporary
        try:
            staged.unlink(missing_ok=True)
            with short_path(directory, temporary) as path:
                self._socket.bind(path)
            staged.chmod(0o600)
            staged.replace(self._path)
        except OSError as error:
            self._socket.close()
            reason = (error.strerror or str(error)).lower()
            raise OperatorError(f"cannot make {self._path} ({reason}): use a directory that can be written") from error

    def take(self) -> dict[str, int]:
        """The descriptors that have come, the latest of each interface: the caller's to close."""
        found: dict[str, int] = {}
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
        with suppress(OSError):
            self._path.unlink()


def hand_over(directory: Path, interface: str, descriptor: int) -> None:
    """To the node that runs in ``directory``; OperatorError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            with short_path(directory, PORTS_SOCKET) as path:
                sender.connect(path)
            socket.send_fds(sender, [interface.encode()], [descriptor])
        except (FileNotFoundError, ConnectionRefusedError):
            raise OperatorError(f"no node is running in {directory}: start it with treecast up {directory}") from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OperatorError(f"the node in {directory} takes no interface now ({reason}): try again") from error
