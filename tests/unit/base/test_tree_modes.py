"""Which streams have a mode of their own: those of groups that the operator names, and of prefixes that hold one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest

from treecast.base.flows import BROADCAST, Flow
from treecast.base.tree_modes import USUAL_MODES, TreeMode, TreeModes

MODES = TreeModes(
    authenticated=(IPv4Network("239.1.1.0/24"),),
    replicated=(IPv4Network("239.1.0.0/16"), IPv4Network("239.2.0.0/16")),
    protected=(IPv4Network("239.4.0.0/16"),),
)


@pytest.mark.parametrize(
    ("group", "mode"),
    [
        ("239.3.0.1", TreeMode.USUAL),
        ("239.2.0.1", TreeMode.REPLICATED),
        ("239.4.0.1", TreeMode.PROTECTED),
        ("239.1.0.1", TreeMode.REPLICATED),
        ("239.1.1.1", TreeMode.AUTHENTICATED),
        ("ff15::1", TreeMode.USUAL),
    ],
)
def test_a_group_has_the_mode_of_a_prefix_that_holds_it_and_whoever_seals_for_each_alone_does(
    group: str, mode: TreeMode
) -> None:
    for source in (None, ip_address("10.0.0.1")):
        assert MODES.of(Flow(0, ip_address(group), source)) is mode
    assert USUAL_MODES.of(Flow(0, ip_address(group), None)) is TreeMode.USUAL


def test_a_prefix_has_the_mode_of_one_that_it_holds_and_broadcast_none() -> None:
    assert MODES.of(Flow(0, IPv4Address("239.0.0.0"), None, 8)) is TreeMode.AUTHENTICATED
    assert MODES.of(Flow(0, IPv4Address("239.2.0.0"), None, 15)) is TreeMode.REPLICATED
    assert TreeModes(replicated=(IPv4Network("224.0.0.0/4"),)).of(BROADCAST) is TreeMode.USUAL
