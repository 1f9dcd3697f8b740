"""Frames that cross an overlay per ARP request, of both sides."""

from __future__ import annotations

import pytest

from bench.sides import Treecast, Vxlan
from bench.solicitations import crossings_per_request
from lab import Lab

pytestmark = pytest.mark.soak


def test_a_solicitation_of_a_known_host_crosses_treecast_not_at_all(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(4)]
    treecast = Treecast(machines, lab.directory)
    assert crossings_per_request(treecast, machines, known=True) == 0
    assert crossings_per_request(treecast, machines, known=False) == 3
    treecast.stop()


def test_vxlan_copies_each_solicitation_to_all_and_brings_the_answer_back(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(4)]
    vxlan = Vxlan(machines, 1500)
    assert crossings_per_request(vxlan, machines, known=True) == 3 + 1
    assert crossings_per_request(vxlan, machines, known=False) == 3
    vxlan.stop()
