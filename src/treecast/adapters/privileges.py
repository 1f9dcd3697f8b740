"""The privileges of this process: what it keeps to itself, and what it gives up (capabilities(7), credentials(7))."""

from __future__ import annotations

import ctypes
import os

from treecast import _native
from treecast.adapters.account import Account

CAP_NET_ADMIN = 12
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_VERSION_3 = 0x20080522
_MOST = 64


def keep_secrets() -> None:
    """Leave no core file, let no other process of this account look into this one, gain no privileges by executing, and
    have the kernel refuse what no node does, if it can.
    """
    _native.keep_secrets()
    _native.refuse_system_calls()


def drop_capabilities() -> None:
    """Give up all capabilities of this thread and of those it starts."""
    _native.drop_capabilities()


def take_account(account: Account) -> None:
    """Make this thread the account's, and the threads and processes that it starts; the capabilities go with root."""
    _native.take_account(account.uid, account.gid)


def keep_only(capability: int, account: Account | None) -> None:
    """The calling thread, and whatever it starts, keeps this capability alone, and is the account's if there is one."""
    libc = ctypes.CDLL(None, use_errno=True)
    for one in range(_MOST):  # also this one: nothing that is executed needs it
        libc.prctl(_PR_CAPBSET_DROP, one, 0, 0, 0)  # an unknown one changes nothing
    if account is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        take_account(account)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    bit = 1 << capability
    data = (ctypes.c_uint32 * 6)(bit, bit, 0, 0, 0, 0)  # effective, permitted, inheritable, and the upper halves
    if libc.capset(header, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
