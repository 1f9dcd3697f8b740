"""An account of this machine, for a node that root starts and that is to go on as somebody else."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from treecast.adapters.files import account_name
from treecast.base.errors import OperatorError

ROOT = 0


@dataclass(frozen=True, slots=True)
class Account:
    """An account's name and the ids of it and its group."""

    name: str
    uid: int
    gid: int


def account_of(name: str) -> Account:
    """OperatorError for a name that this machine does not know, and when only root could become it."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise OperatorError(f"there is no account {name!r} on this machine: adduser --system {name}") from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise OperatorError(f"--user {name} takes root at the start: run this as root")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def require_owner(account: Account, directory: Path, paths: Iterable[Path]) -> None:
    """OperatorError when one of these, all in ``directory``, or the program itself would be closed to the account."""
    for path in (directory, *paths):
        uid = path.stat().st_uid
        if uid != account.uid:
            raise OperatorError(
                f"{path} belongs to {account_name(uid)}, and the node is to run as {account.name}: "
                f"chown -R {account.name}: {directory}"
            )
    programs = (__file__, os.__file__)  # modules of the node and of Python are loaded later, too
    for parent in (parent for place in (directory, *programs) for parent in Path(place).resolve().parents):
        if not _lets_in(parent, account):
            raise OperatorError(f"{parent} is closed to {account.name}, who is to run the node: chmod o+x {parent}")


def require_own(directory: Path, paths: Iterable[Path]) -> None:
    """OperatorError where root, without ``--user``, would run a node in the directory of somebody else.

    Who owns it may change what the node reads; and the node, which gives up its capabilities, could not write there.
    """
    for path in (directory, *paths):
        owner = path.stat().st_uid
        if os.geteuid() == ROOT != owner:
            chown = f"chown -R root: {directory}"
            name = account_name(owner)
            advice = f"treecast up {directory} --user {name}, or {chown}" if _has_name(owner) else chown
            raise OperatorError(f"{path} belongs to {name}, and the node is to run as root: {advice}")


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _lets_in(directory: Path, account: Account) -> bool:
    found = directory.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    return bool(found.st_mode & (stat.S_IXGRP if found.st_gid == account.gid else stat.S_IXOTH))
