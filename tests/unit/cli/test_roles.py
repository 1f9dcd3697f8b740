"""The roles that ``node add`` gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from treecast.adapters import clock, storage
from treecast.base.errors import OperatorError
from treecast.cli import values
from treecast.identity.node import NodeRequest
from treecast.identity.rights import NO_ROLES, Role


def test_roles_are_named_with_commas_or_one_by_one_and_none_is_none() -> None:
    assert values.roles(None) is None
    assert values.roles(["bridge,relay"]) == values.roles(["bridge", "relay"]) == Role.BRIDGE | Role.RELAY
    assert values.roles(["controller"]) == Role.CONTROLLER
    assert values.roles(["none"]) == NO_ROLES
    with pytest.raises(OperatorError, match="'king' is no role: give any of bridge, relay, controller, with commas"):
        values.roles(["bridge,king"])
    for words in (["bridge,none"], ["none", "bridge"]):
        with pytest.raises(OperatorError, match="none and a role contradict each other: give one of them"):
            values.roles(words)


def test_a_node_is_a_relay_unless_it_is_told_otherwise_and_keeps_its_roles_when_it_is_added_again(
    tmp_path: Path,
) -> None:
    storage.create_network(tmp_path / "lab", "lab", "10.77.0.0/16", None)

    def added(*, replace: bool, roles: Role | None) -> Role:
        request = NodeRequest("alice", None, None, 2, replace, roles)
        storage.add_node(tmp_path / "lab", tmp_path / "alice", request, clock.unix_s())
        return storage.load_node(tmp_path / "alice", clock.unix_s()).certificate.rights.roles

    assert added(replace=False, roles=None) == Role.RELAY
    assert added(replace=True, roles=Role.BRIDGE) == Role.BRIDGE
    assert added(replace=True, roles=None) == Role.BRIDGE
    assert added(replace=True, roles=NO_ROLES) == NO_ROLES
