"""``treecast why``: decisions of a running node, as lines and as JSON, and the sentence where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.unit.api.serving import STATUS, serving
from tests.unit.cli.running_verbs import network_of_two, ok, sentence
from treecast.api.records import Group
from treecast.api.trace_records import RootedStream
from treecast.cli.group_tables import print_groups, print_repairs


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_decisions_are_a_line_each_and_json_and_none_is_a_sentence() -> None:
    network_of_two()
    with serving(Path("alice")):
        assert ok("why", "alice", "bob") == "link, for 1 min 2 s: up: --peer bob.example\n"
        said = json.loads(ok("why", "alice", "bob", "--json"))
        assert sentence("why", "alice", "carol") == "treecast: nobody has it\n"
    assert said["decisions"] == [{"subject": "link", "text": "up: --peer bob.example", "since_s": 62.0}]
    assert "no node is running in bob" in sentence("why", "bob", "alice")


def test_groups_have_the_streams_that_begin_here_and_the_repairs_at_this_node(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = Group("239.1.1.1", "*", [], False, 0, 0, 9, 9, stream=RootedStream(3, 17, True, 12, 2, 5, "planned"))
    print_groups([row], [])
    print_repairs(STATUS)
    text = capsys.readouterr().out
    assert "STREAM FROM HERE FROM       TREE    EPOCHS REPLANS GRAFTS" in text
    assert "239.1.1.1        any source planned     12       2      5" in text
    assert "repairs" not in text
    counters = {**STATUS.counters, "grafts": 1, "grafts_taken": 2, "retransmissions": 300}
    print_repairs(msgspec.structs.replace(STATUS, counters=counters))
    assert "repairs here: 1 grafts, 2 grafts taken, 300 retransmissions" in capsys.readouterr().out
