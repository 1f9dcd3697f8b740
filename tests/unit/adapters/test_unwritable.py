"""Directories that an account cannot write, seen before anything is written: a sentence with the command that helps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from treecast.adapters.files import account_name, why_unwritable

SOMEBODY = 65_534


def said_to(uid: int, directory: Path) -> str:
    """The sentence that a process of this account finds about a directory of the present one, which is open to it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() != uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        os.write(writer, why_unwritable(directory).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read().decode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.chmod(0o711)
    monkeypatch.chdir(tmp_path)  # directories above are closed to others
    made = Path("home")
    made.mkdir()
    if os.geteuid() == 0:
        os.chown(made, SOMEBODY, SOMEBODY)
    return made


def test_a_directory_that_its_owner_may_not_write_is_named_with_its_mode_until_that_is_right(home: Path) -> None:
    owner = home.stat().st_uid
    for mode in (0o500, 0o600, 0o000):
        home.chmod(mode)
        wanted = f"{home} is closed to {account_name(owner)} (mode {mode:04o}): chmod u+rwx {home}"
        assert said_to(owner, home) == wanted
    home.chmod(0o700)
    assert said_to(owner, home) == ""


def test_a_directory_of_another_account_is_to_be_given_to_this_one(home: Path) -> None:
    if os.geteuid() == 0:
        os.chown(home, 0, 0)
        me = SOMEBODY
    else:
        home, me = Path("/proc"), os.geteuid()
    name = account_name(me)
    assert said_to(me, home) == f"{home} belongs to root, and {name} may not write it: chown {name} {home}"


def test_a_node_that_runs_is_not_advised_to_run_as_somebody_else(home: Path) -> None:
    os.chown(home, 1, 1)
    home.chmod(0o700)
    inside, name = home / "node", account_name(1)
    inside.mkdir()
    os.chown(inside, SOMEBODY, SOMEBODY)
    me = account_name(SOMEBODY)
    assert said_to(SOMEBODY, inside) == f"{home} belongs to {name} and is closed to {me}: chmod a+x {home}"
    home.chmod(0o711)
    assert said_to(SOMEBODY, inside) == "", "the advice helps"


def test_a_directory_that_is_gone_and_one_that_is_none_are_told_apart(home: Path) -> None:
    owner, gone = home.stat().st_uid, home / "gone"
    assert said_to(owner, gone) == f"{gone} is gone: put it back, or start the node again where its directory is now"
    (home / "file").write_text("x")
    assert said_to(owner, home / "file") == "", "what is written there says what is wrong"
