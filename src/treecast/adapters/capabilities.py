"""Giving up all capabilities but one (capabilities(7)), for a process that needs no other."""

from __future__ import annotations

import ctypes
import os

CAP_NET_ADMIN = 12
_PR_CAPBSET_DROP = 24
_VERSION_3 = 0x20080522
_MOST = 64


def keep_only(capability: int) -> None:
    """The calling thread, and whatever it starts, keeps this capability alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    for other in set(range(_MOST)) - {capability}:
        libc.prctl(_PR_CAPBSET_DROP, other, 0, 0, 0)  # an unknown one changes nothing
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    bit = 1 << capability
    data = (ctypes.c_uint32 * 6)(bit, bit, 0, 0, 0, 0)  # effective, permitted, inheritable, and the upper halves
    if libc.capset(header, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
