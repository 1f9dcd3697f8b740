"""A LAN that is not carried is shown as down, whatever the election on it says."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.daemon.lan_words import state_of
from treecast.designated_forwarder.designated_forwarder import PortState
from treecast.designated_forwarder.election import StateReason
from treecast.wire.beacon import BeaconState


def test_a_forwarding_port_whose_interface_is_down_is_down_with_what_to_do() -> None:
    state = PortState(0, BeaconState.FORWARDING, NodeIndex(1), (), looped=False, why=StateReason.LOWEST)
    assert state_of(state, str, []) == ("forwarding", "no other node is here", "1")
    down = Problem("lan_down", "eth1", "eth1 is down, so the LAN of eth1 is not carried: ip link set eth1 up")
    assert state_of(state, str, [down]) == ("down", down.text, "")
