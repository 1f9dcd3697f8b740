"""The model checks as many signatures as the data plane did (``docs/vectors.json``)."""

from __future__ import annotations

import json
from pathlib import Path

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.sim.signatures import SignatureChecks

VECTORS = Path(__file__).parents[3] / "docs" / "vectors.json"


def test_as_many_are_checked_as_in_the_data_plane() -> None:
    checks, outcomes = SignatureChecks(), set[tuple[bool, bool]]()
    for step in json.loads(VECTORS.read_text())["signature_steps"]:
        ms, root, forged, count, expected = map(int, step.split())
        now, checked = Instant(ms / 1000), 0
        for _ in range(count):
            if checks.admit(NodeIndex(root), now):
                checked += 1
                if forged:
                    checks.note_forged(NodeIndex(root), now)
        assert checked == expected, step
        outcomes.add((bool(forged), checked < count))
    assert outcomes == {(forged, refused) for forged in (True, False) for refused in (True, False)}
