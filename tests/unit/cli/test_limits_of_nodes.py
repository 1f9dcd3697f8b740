"""Quotas and permitted groups of a certificate: ``--hosts``, ``--groups``, ``--send`` and ``--receive``."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from typer.testing import CliRunner

from treecast.adapters import clock, storage
from treecast.cli.main import app
from treecast.identity.rights import DEFAULT_RIGHTS, Rights

SOME = ("--hosts", "2", "--groups", "5", "--send", "239.1.0.0/16,ff3e::/16", "--receive", "none")


@pytest.fixture(autouse=True)
def _a_network_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _ok("network", "create", "lab")


def _ok(*arguments: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output


def _rights() -> Rights:
    return storage.load_node(Path("alice"), clock.unix_s()).certificate.rights


def test_a_node_has_the_limits_that_it_is_given_and_keeps_them_when_it_is_renewed_without() -> None:
    _ok("node", "add", "alice", "--network", "lab", *SOME)
    given = _rights()
    assert (given.hosts, given.groups) == (2, 5)
    assert given.send_to == (ip_network("239.1.0.0/16"), ip_network("ff3e::/16"))
    assert given.receive_from == ()
    _ok("node", "renew", "alice", "--network", "lab")
    assert _rights() == given
    _ok("node", "renew", "alice", "--network", "lab", "--hosts", "4096", "--groups", "16384")
    _ok("node", "renew", "alice", "--network", "lab", "--send", "all", "--receive", "224.0.0.0/4,ff00::/8")
    assert _rights() == DEFAULT_RIGHTS


def test_a_node_that_makes_its_keys_itself_is_signed_for_with_limits() -> None:
    _ok("node", "request", "alice")
    _ok("node", "sign", "alice/node.request", "--network", "lab", *SOME)
    _ok("node", "accept", "alice.admission", "--dir", "alice")
    assert (_rights().hosts, _rights().receive_from) == (2, ())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hosts", "0"), "--hosts 0: give a number from 1 to 16384"),
        (("--groups", "16385"), "--groups 16385: give a number from 1 to 16384"),
        (("--send", "10.0.0.0/8"), "10.0.0.0/8 is no prefix of groups"),
        (("--receive", "all,none"), "--receive all,none: give all, or none, or prefixes of groups"),
        (("--send", ",".join(f"239.{n}.0.0/16" for n in range(17))), "17 prefixes of --send are too many"),
    ],
)
def test_limits_that_cannot_be_are_refused_in_a_sentence(arguments: tuple[str, str], said: str) -> None:
    result = CliRunner().invoke(app, ("node", "add", "alice", "--network", "lab", *arguments))
    assert result.exit_code == 1
    assert said in result.stderr and result.stderr.count("\n") == 1
    assert not Path("alice").exists()
