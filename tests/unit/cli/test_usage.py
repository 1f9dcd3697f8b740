"""Command lines that are none: each is one sentence that says what to give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from tests.unit.cli.running_verbs import network_of_two
from treecast.cli.main import app


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("up --underlay-mtu abc", "--underlay-mtu: 'abc' is none of its values: give a whole number from 1280 to 9000"),
        ("up --workers 65", "--workers: 65 is none of its values: give a whole number from 0 to 64"),
        ("up --mtu abc", "no such option: --mtu: treecast up -h shows what it takes"),
        ("node add", "missing argument 'NODE': treecast node add -h shows what it takes"),
        ("status a b", "got unexpected extra argument(s) (b): treecast status -h shows what it takes"),
        ("nod", "no such command 'nod', did you mean 'node'? treecast -h shows what it takes"),
        ("--fly", "no such option: --fly: treecast -h shows what it takes"),
        ("up --listen", "option '--listen' requires an argument: treecast up -h shows what it takes"),
        ("node add a --days", "option '--days' requires an argument: treecast node add -h shows what it takes"),
        ("up --no-relay=x", "option '--no-relay' does not take a value: treecast up -h shows what it takes"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_one_sentence_that_says_what_to_give(line: str, said: str) -> None:
    assert _run(*line.split()).stderr == f"treecast: {said}\n"


@pytest.mark.parametrize("option", ["--router-groups", "--authenticated", "--replicate", "--protect"])
@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("10.0.0.0/8", "10.0.0.0/8 is no prefix of groups: those are within 224.0.0.0/4 and ff00::/8"),
        ("224.0.0.0/24", "224.0.0.0/24 holds link-local groups only, which all nodes get: leave it out"),
    ],
)
def test_what_is_no_prefix_of_groups_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, prefix: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    network_of_two()
    result = _run("up", "alice", option, prefix)
    assert (result.exit_code, result.stderr) == (2, f"treecast: {said}\n")


def verbs(command: Any) -> Iterator[str]:
    """The words of each verb."""
    for name, below in getattr(command, "commands", {}).items():
        inner = list(verbs(below))
        yield from (f"{name} {word}" for word in inner) if inner else (name,)


def test_every_verb_refuses_an_unknown_option_in_one_sentence() -> None:
    found = list(verbs(get_command(app)))
    assert {"up", "node add", "bridge show", "revocation apply"} <= {*found}
    for verb in found:
        result = _run(*verb.split(), "--no-such-option")
        assert result.exit_code == 2
        assert result.stderr == f"treecast: no such option: --no-such-option: treecast {verb} -h shows what it takes\n"


@pytest.mark.parametrize("words", ["", "node", "bridge"])
def test_a_group_of_verbs_by_itself_shows_its_help(words: str) -> None:
    result = _run(*words.split())
    assert result.exit_code == 2
    assert "Usage: " in result.output and "Commands:" in result.output
