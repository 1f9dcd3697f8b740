"""Verbs in the hands of a test: what one that succeeds prints, and the one sentence of one that fails."""

from __future__ import annotations

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
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("treecast: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def noted(*arguments: str) -> str:
    """The one sentence on stderr of a verb that succeeds all the same."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("treecast: ")
    assert result.stderr.count("\n") == 1
    return result.stderr
