"""Networks and nodes on disk when a write fails, a process is killed, or several write at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.adapters.stored import ALICE, BOB, NOW_S, tree
from treecast.adapters import storage
from treecast.adapters.node_directory import CERTIFICATE_FILE
from treecast.base.errors import OperatorError
from treecast.identity.node import NodeRequest


class _Sabotage:
    """Lets the first ``allowed`` calls that change the disk pass; the next one does ``harm``."""

    CALLS = ("fsync", "link", "mkdir", "open", "rename", "replace")

    def __init__(self, patch: pytest.MonkeyPatch, allowed: int, harm: Callable[[], None]) -> None:
        self.done = False
        self._left = allowed
        self._harm = harm
        for name in self.CALLS:
            call = getattr(os, name) if name != "fsync" else lambda _: None  # no power is cut here
            patch.setattr(os, name, self._wrap(call))

    def _wrap(self, call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            self._left -= 1
            if self._left == -1:
                self.done = True
                self._harm()
            return call(*args, **kwargs)

        return wrapped


def _no_space() -> None:
    raise OSError(28, "No space left on device")


def _die() -> None:
    os._exit(9)


def _sabotaged(place: Path, verb: str, exists: bool, step: int) -> tuple[bool, bool]:
    """Runs a verb in ``place`` whose call number ``step`` fails: whether one failed, and whether the verb did."""
    network, target = place / "lab", place / "deep" / "new"
    storage.create_network(network, "lab", "10.77.0.0/16", None)
    if exists:
        target.mkdir(parents=True)
    before = tree(place)
    with pytest.MonkeyPatch.context() as patch:
        sabotage = _Sabotage(patch, step, _no_space)
        try:
            if verb == "create":
                storage.create_network(target, "new", "10.78.0.0/16", None)
            else:
                storage.add_node(network, target, ALICE, NOW_S)
        except OperatorError as error:
            assert "no space left on device" in str(error)
            refused = True
        else:
            refused = False
    if refused:
        assert tree(place) == before, f"step {step}"
    elif verb == "create":
        assert len(tree(target)) == 3
        storage.load_authority(target)
    else:
        assert len(tree(target)) == 3
        assert storage.load_node(target, NOW_S).certificate.node_index == 1
        assert len(storage.load_authority(network).registry.nodes) == 1
    return sabotage.done, refused


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("verb", ["create", "add"])
def test_a_verb_that_fails_at_any_step_leaves_everything_as_it_was(tmp_path: Path, verb: str, exists: bool) -> None:
    refusals = 0
    for step in range(1000):
        (tmp_path / str(step)).mkdir()
        failed, refused = _sabotaged(tmp_path / str(step), verb, exists, step)
        refusals += refused
        if not failed:
            break
    assert not failed
    assert refusals >= 10


@pytest.mark.parametrize("exists", [False, True])
def test_a_process_killed_at_any_step_leaves_whole_files_and_no_index_twice(
    tmp_path: Path, network: Path, exists: bool
) -> None:
    step = 0
    indices: set[int] = set()
    while True:
        request, target = NodeRequest(f"node-{step}", None, None, 30), tmp_path / f"node-{step}"
        if exists:
            target.mkdir()
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                _Sabotage(patch, step, _die)
                storage.add_node(network, target, request, NOW_S)
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if (target / CERTIFICATE_FILE).exists() and (target / storage.NETWORK_FILE).exists():
            indices_before = len(indices)
            indices.add(storage.load_node(target, NOW_S).certificate.node_index)
            assert len(indices) == indices_before + 1
        registry = storage.load_authority(network).registry
        assert {node.index for node in registry.nodes} >= indices
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == 9
        step += 1
    assert step > 10
    storage.add_node(network, tmp_path / "last", BOB, NOW_S)


def test_concurrent_verbs_on_one_network_never_give_anything_out_twice(network: Path, tmp_path: Path) -> None:
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            for turn in range(4):
                name = f"node-{number}-{turn}"
                storage.add_node(network, tmp_path / name, NodeRequest(name, None, None, 30), NOW_S)
            os._exit(0)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
    registry = storage.load_authority(network).registry
    assert sorted(node.index for node in registry.nodes) == list(range(1, 33))
    assert len({node.ipv4 for node in registry.nodes}) == 32
    for node in registry.nodes:
        assert storage.load_node(tmp_path / node.name, NOW_S).certificate.node_index == node.index
