"""Directories and files that this account may not read: each verb says whose they are, and as whom to run it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.unit.cli.running_verbs import ok
from treecast.adapters.files import account_name
from treecast.cli.main import app

SOMEBODY = 65_534
WITH_A_NODE = (
    ("up", "alice"),
    ("status", "alice"),
    ("peers", "alice", "--json"),
    ("groups", "alice"),
    ("groups", "alice", "--watch"),
    ("hosts", "alice"),
    ("log-level", "alice", "debug"),
    ("bridge", "show", "alice"),
    ("bridge", "add", "alice", "eth9"),
    ("revocation", "apply", "bob.revocation", "alice"),
    ("node", "accept", "bob.admission", "--dir", "alice"),
    ("network", "show", "alice"),
)
WITH_A_NETWORK = (
    ("network", "show", "lab"),
    ("node", "list", "lab"),
    ("node", "add", "carol", "--network", "lab"),
    ("node", "renew", "bob", "--network", "lab"),
    ("node", "revoke", "bob", "--network", "lab"),
    ("node", "sign", "node.request", "--network", "lab"),
)


@pytest.fixture(autouse=True)
def _closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network and a node of root, mode 0700, in a directory that everybody may use."""
    monkeypatch.chdir(tmp_path)
    ok("network", "create", "lab")
    ok("node", "add", "alice", "--network", "lab")
    ok("node", "request", "bob")
    Path("bob/node.request").rename("node.request")
    Path("node.request").chmod(0o644)
    tmp_path.chmod(0o777)


def _as_somebody_else(*words: str) -> tuple[int, str]:
    """The exit code and the sentence of a verb of an account without privileges."""
    CliRunner().invoke(app, [word if word not in ("alice", "lab") else "gone" for word in words])  # all is imported
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(SOMEBODY)
            os.setuid(SOMEBODY)
            result = CliRunner().invoke(app, words)
            os.write(writer, json.dumps([result.exit_code, result.stderr]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        code, said = json.loads(pipe.read())
    return code, said


@pytest.mark.parametrize("words", [*WITH_A_NODE, *WITH_A_NETWORK], ids=" ".join)
def test_a_verb_for_a_directory_of_root_is_to_be_run_with_sudo(words: tuple[str, ...]) -> None:
    closed = "alice" if "alice" in words else "lab"
    me = account_name(SOMEBODY)
    said = f"treecast: {closed} belongs to root and is closed to {me}: run this as root, with sudo\n"
    assert _as_somebody_else(*words) == (1, said)


def test_a_closed_file_is_said_with_whose_it_is() -> None:
    Path("mine").write_bytes(b"no revocation")
    Path("mine").chmod(0o600)
    me = account_name(SOMEBODY)
    for path in (Path("lab"), Path("alice"), *Path("lab").iterdir(), *Path("alice").iterdir()):
        os.chown(path, SOMEBODY, SOMEBODY)
    for words in (("revocation", "apply", "mine", "alice"), ("node", "sign", "mine", "--network", "lab")):
        said = f"treecast: mine belongs to root, and {me} may not read it: chown {me} mine\n"
        assert _as_somebody_else(*words) == (1, said)


def paths(command: Any) -> Iterator[tuple[str, Any]]:
    """Each file or directory that a verb takes."""
    for name, below in getattr(command, "commands", {}).items():
        yield from ((f"{name} {words}", kind) for words, kind in paths(below))
    for parameter in command.params:
        if hasattr(parameter.type, "readable"):
            yield parameter.name, parameter.type


def test_no_verb_leaves_closed_files_to_the_parser_of_command_lines() -> None:
    found = dict(paths(get_command(app)))
    assert len(found) > 15 and {"up directory", "node add network", "revocation apply file"} <= {*found}
    assert [words for words, kind in found.items() if kind.readable] == []
