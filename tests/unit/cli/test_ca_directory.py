"""The CA's directory and what is in it: what other accounts may write, no verb of the CA takes for its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.adapters.stored import tree
from tests.unit.cli.running_verbs import network_of_two, ok, sentence

VERBS = (
    ("node", "add", "carol", "--network", "lab"),
    ("node", "add", "alice", "--replace", "--network", "lab"),
    ("node", "renew", "alice", "--network", "lab"),
    ("node", "sign", "dora/node.request", "--network", "lab"),
    ("node", "revoke", "alice", "--older", "--network", "lab", "--out", "older"),
    ("node", "revoke", "alice", "--network", "lab"),
    ("node", "list", "lab"),
)
MODES = (0o720, 0o702, 0o777, 0o1777)


@pytest.fixture(autouse=True)
def _a_network_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network_of_two()
    ok("node", "request", "dora")
    ok("node", "revoke", "bob", "--network", "lab")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", ["lab", "lab/nodes.json", "lab/revocations.json", "lab/ca.key", "lab/network.json"])
def test_no_verb_of_the_ca_takes_what_other_accounts_may_write(path: str, mode: int) -> None:
    right = Path(path).stat().st_mode
    Path(path).chmod(mode)
    before = tree(Path())
    for verb in VERBS:
        said = sentence(*verb)
        assert said.startswith(f"treecast: {path} ") and f"(mode {mode:04o})" in said
        assert ": chmod " in said and f" {path}" in said.partition(": chmod ")[2]
    assert tree(Path()) == before
    Path(path).chmod(right)
    for verb in VERBS:
        ok(*verb)


def test_the_sentence_has_what_others_may_have_done_and_what_helps() -> None:
    Path("lab").chmod(0o777)
    assert sentence("node", "renew", "alice", "--network", "lab") == (
        "treecast: lab can be written by other accounts (mode 0777), who may have put keys of theirs into "
        "lab/nodes.json for the CA to sign: chmod go-w lab, and put a good copy of that back if they have\n"
    )
    Path("lab").chmod(0o755)
    Path("lab/revocations.json").chmod(0o666)
    assert sentence("node", "renew", "alice", "--network", "lab") == (
        "treecast: lab/revocations.json can be written by other accounts (mode 0666), who may have taken revocations "
        "out of it: chmod go-w lab/revocations.json, and revoke again what is missing\n"
    )
    Path("lab/revocations.json").chmod(0o644)
    ok("node", "renew", "alice", "--network", "lab")
