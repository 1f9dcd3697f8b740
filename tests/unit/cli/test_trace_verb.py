"""``treecast trace``: what it asks a running node for, prints, and refuses in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.api.serving import serving
from tests.unit.cli.running_verbs import network_of_two, ok, sentence


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network_of_two()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alice", "239.1.1.1"), "no node is running in alice: start it with treecast up alice"),
        (("alice", "video"), "'video' is no group: give a multicast address, such as 239.1.1.1"),
        (("alice", "10.77.0.1"), "10.77.0.1 is no multicast address: give a group"),
        (("alice", "224.0.0.251"), "224.0.0.251 is a link-local group"),
        (("alice", "ff02::fb"), "ff02::fb is a link-local group"),
        (("alice", "239.1.1.1", "--source", "alice"), "--source 'alice' is no address"),
        (("alice", "239.1.1.1", "--source", "fd00::1"), "--source fd00::1 cannot send to 239.1.1.1"),
        (("alice", "239.1.1.1", "--source", "239.1.1.1"), "--source 239.1.1.1 cannot send to 239.1.1.1"),
        (("nowhere", "239.1.1.1"), "there is no directory nowhere"),
    ],
)
def test_what_cannot_be_traced_is_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    assert said in sentence("trace", *arguments)


def test_the_trees_are_drawn_and_printed_as_json() -> None:
    with serving(Path("alice")):
        text = ok("trace", "alice", "239.1.1.1")
        trace = json.loads(ok("trace", "alice", "239.1.1.1", "--json"))
        said = sentence("trace", "alice", "239.1.1.2")
    assert "├─\u00a0bob " in text
    assert said.startswith("treecast: no tree to trace: nobody has joined 239.1.1.2, and no host here sends to it")
    assert list(trace) == ["group", "trees", "silent", "why_none", "left_out"]
    assert list(trace["trees"][0]) == [
        *("root", "group", "source", "vlan", "stream", "epoch", "key_id", "since_s", "pps", "rate_bps", "left_out"),
        *("nodes", "mode"),
    ]
    assert list(trace["trees"][0]["nodes"][0]) == [
        *("node", "answered", "service", "subscribes", "parent", "backup", "graft", "epoch", "key_id", "since_s"),
        *("rtt_ms", "loss", "pps", "rate_bps", "children"),
    ]
