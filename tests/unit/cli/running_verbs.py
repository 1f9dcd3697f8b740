"""Verbs in the hands of a test: what one that succeeds prints, and the one sentence of one that fails."""

from __future__ import annotations

from collections.abc import Sequence

from typer.testing import CliRunner

from treecast.cli.main import app


def ok(*arguments: str) -> str:
    """The output of a verb that succeeds."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def sentence(*arguments: str) -> str:
    """The one sentence of a verb that fails."""
    return _one_sentence(arguments, exit_code=1)


def noted(*arguments: str) -> str:
    """The one sentence on stderr of a verb that succeeds all the same."""
    return _one_sentence(arguments, exit_code=0)


def network_of_two() -> None:
    """A network ``lab`` with the nodes alice and bob, in the directory that is the current one."""
    ok("network", "create", "lab")
    for name in ("alice", "bob"):
        ok("node", "add", name, "--network", "lab")


def _one_sentence(arguments: Sequence[str], *, exit_code: int) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == exit_code, result.output
    assert result.stderr.startswith("treecast: ")
    assert result.stderr.count("\n") == 1
    return result.stderr
