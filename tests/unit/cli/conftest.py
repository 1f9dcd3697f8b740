"""Verbs are run in the tests' own process, as root: without CAP_NET_ADMIN none of them can make an interface there."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest

from treecast.adapters.privileges import CAP_NET_ADMIN

_VERSION_3 = 0x20080522


@pytest.fixture(autouse=True)
def _without_net_admin() -> Iterator[None]:
    """The calling thread lacks CAP_NET_ADMIN, and what it starts, but for programs: root has all capabilities there."""
    header, data = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)

    def set_effective(capabilities: int) -> None:
        data[0] = capabilities
        if libc.capset(header, data) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    assert libc.capget(header, data) == 0
    before = data[0]
    set_effective(before & ~(1 << CAP_NET_ADMIN))
    yield
    set_effective(before)


@pytest.fixture(autouse=True)
def _no_secrets_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """``up`` within this process, which executes programs later, does not close it for ever."""
    monkeypatch.setattr("treecast.daemon.run.keep_secrets", lambda: None)
