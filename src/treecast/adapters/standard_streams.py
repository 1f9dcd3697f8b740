"""The descriptors 0 to 2 of a process: some may be closed, and 1 and 2 may lead where nothing can be written."""

from __future__ import annotations

import os
import sys

STDIN, STDOUT, STDERR = 0, 1, 2


def open_closed() -> None:
    """Closed ones lead to nowhere from now on: else the next file or socket would get their numbers, and their output.

    Call it before anything is opened.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(STDOUT, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends


def are_one(descriptor: int, other: int) -> bool:
    """Whether both lead to the same pipe, terminal, socket or file: 2>&1."""
    try:
        one, two = os.fstat(descriptor), os.fstat(other)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)


def lead_nowhere(descriptor: int) -> None:
    """Writing to it neither fails nor waits from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
