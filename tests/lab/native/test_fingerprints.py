"""Fingerprints between real data planes: probes and replies carry them, both control planes learn of a difference."""

from __future__ import annotations

from lab.planes import LIMIT_S, DataPlane, DataPlanes
from lab.waiting import wait_until
from treecast.base.commands import SetFingerprint
from treecast.base.events import FingerprintDiffers
from treecast.base.ids import NodeIndex


def differences(plane: DataPlane, peer: int) -> list[int]:
    found = [event for event in plane.seen(FingerprintDiffers) if event.peer == NodeIndex(peer)]
    return [int.from_bytes(event.difference, "big") for event in found]


def test_a_fingerprint_that_changes_is_reported_at_both_ends_until_they_are_the_same() -> None:
    with DataPlanes(2, probe_interval_s=0.2) as planes:
        one, two = planes.planes
        one.do(SetFingerprint((7).to_bytes(16, "big")))
        wait_until(lambda: differences(two, 1)[-2:] == [7, 7], LIMIT_S, "one is ahead by 7, again and again")
        wait_until(lambda: differences(one, 2)[-1:] == [2**128 - 7], LIMIT_S, "two is behind by 7")
        two.do(SetFingerprint((7).to_bytes(16, "big")))
        wait_until(lambda: differences(one, 2)[-1] == differences(two, 1)[-1] == 0, LIMIT_S, "they are the same")
        reported = len(differences(one, 2))
        sent = one.forwarder.counters()["probes_sent"]
        wait_until(lambda: one.forwarder.counters()["probes_sent"] >= sent + 10, LIMIT_S, "ten probes more")
        assert len(differences(one, 2)) == reported
