"""The control socket's path, in a form that fits ``sun_path`` (108 bytes with its final zero, unix(7))."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CONTROL_SOCKET = "control.sock"

_MAX_SUN_PATH_BYTES = 107


def identity_of(path: Path) -> tuple[int, ...]:
    """Differs for another file, and for one of another kind that has got the inode of this one; OSError."""
    found = path.lstat()
    return found.st_dev, found.st_ino, stat.S_IFMT(found.st_mode)


def is_in_place(path: Path, bound: tuple[int, ...]) -> bool:
    """Whether the socket that was bound is where verbs look for it. One in a directory that is closed to this account,
    or gone, is: nobody could make another there.
    """
    try:
        return identity_of(path) == bound
    except PermissionError:
        return True
    except OSError:
        return not os.path.lexists(path.parent)


def is_other_than_socket(path: Path) -> bool:
    """Whether something else than a socket has the name."""
    try:
        return not stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def in_the_way(directory: Path, name: str) -> str:
    """A sentence for a verb that finds something else than the node's socket."""
    path = directory / name
    return f"{path} is no socket: remove it, and a node that runs in {directory} makes its own there within 5 s"


def advice_on_making(error: OSError) -> str:
    """How to let a socket be made that could not be."""
    return "remove it" if isinstance(error, IsADirectoryError) else "use a directory that can be written"


@contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """A path of ``directory/name`` for bind or connect, usable inside the with statement; OSError.

    A long one goes through an open descriptor of the directory, which /proc shows under a short name.
    """
    path = directory / name
    if len(os.fsencode(path)) <= _MAX_SUN_PATH_BYTES:
        yield str(path)
        return
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def bind_staged(own: socket.socket, directory: Path, name: str, *, backlog: int = 0) -> tuple[int, ...]:
    """Bind a socket, and what ``identity_of`` has of it. It gets its mode before anybody can connect; its name, from
    which an older one goes, when it is ready. ``backlog``: it listens. OSError.
    """
    temporary = f".{name}.{os.getpid()}"
    staged = directory / temporary
    try:
        staged.unlink(missing_ok=True)
        with short_path(directory, temporary) as path:
            own.bind(path)
        staged.chmod(0o600)
        if backlog:
            own.listen(backlog)
        bound = identity_of(staged)
        staged.replace(directory / name)
    except BaseException:
        with suppress(OSError):
            staged.unlink()
        raise
    return bound
