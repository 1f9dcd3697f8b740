"""The control socket's path, in a form that fits ``sun_path`` (108 bytes with its final zero, unix(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTROL_SOCKET = "control.sock"

_MAX_SUN_PATH_BYTES = 107


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
