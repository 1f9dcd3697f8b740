"""The account that a node is to run as: known, owner of all that it reads, and let in."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from treecast.adapters.account import Account, account_of, require_own, require_owner
from treecast.base.errors import OperatorError

NOBODY = pwd.getpwnam("nobody").pw_uid
WITHOUT_NAME = 54_321


def own() -> Account:
    """The account that runs the tests."""
    entry = pwd.getpwuid(os.geteuid())
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def test_an_account_is_found_by_its_name_and_an_unknown_one_is_a_sentence() -> None:
    assert account_of(own().name) == own()
    for name in ("no-such-account", "", "a\0b"):
        with pytest.raises(OperatorError, match="there is no account"):
            account_of(name)


def test_what_is_another_s_and_what_is_closed_are_sentences_with_the_command_that_helps(tmp_path: Path) -> None:
    files = [tmp_path / "node.key"]
    files[0].touch()
    require_owner(own(), tmp_path, files)
    other = Account("treecast", own().uid + 1, own().gid + 1)
    with pytest.raises(OperatorError) as refused:
        require_owner(other, tmp_path, files)
    assert str(refused.value) == (
        f"{tmp_path} belongs to {own().name}, and the node is to run as treecast: chown -R treecast: {tmp_path}"
    )


def test_root_runs_no_node_in_the_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, files = tmp_path / "alice", [tmp_path / "alice" / "node.key"]
    directory.mkdir()
    files[0].touch()
    owners = {directory: 0, files[0]: 0}
    monkeypatch.setattr(Path, "stat", lambda path: os.stat_result((0o755, 0, 0, 1, owners[path], 0, 0, 0, 0, 0)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    require_own(directory, files)
    for path in (files[0], directory):
        owners[path] = NOBODY
        with pytest.raises(OperatorError) as refused:
            require_own(directory, files)
        said = f"{path} belongs to nobody, and the node is to run as root: treecast up {directory} --user nobody, or "
        assert str(refused.value) == f"{said}chown -R root: {directory}"
    owners[directory] = WITHOUT_NAME
    with pytest.raises(OperatorError, match=f"account {WITHOUT_NAME}, and the node is to run as root: chown -R root"):
        require_own(directory, files)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    require_own(directory, files)


def test_a_directory_whose_parent_lets_nobody_in_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "closed" / "alice"
    directory.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o600)
    try:
        with pytest.raises(OperatorError, match=f"closed is closed to {own().name}, who is to run the node: chmod "):
            require_owner(own(), directory, [])
    finally:
        (tmp_path / "closed").chmod(0o700)
