"""A FIFO, directory, socket or device in place of a node's file is one sentence, and nothing waits for it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from treecast.adapters.bridge_record import BRIDGE_FILE, load_record
from treecast.adapters.peers_file import PEERS_FILE, load_peers
from treecast.adapters.pim_file import PIM_FILE, load_pim
from treecast.adapters.twin_file import TWIN_FILE, require_no_twin
from treecast.adapters.vlans_file import VLANS_FILE, load_vlans
from treecast.base.errors import OperatorError
from treecast.base.ids import NetworkId

LOADERS: dict[str, Callable[[Path], object]] = {
    PEERS_FILE: lambda directory: load_peers(directory, NetworkId(b"network1")),
    PIM_FILE: load_pim,
    VLANS_FILE: load_vlans,
    BRIDGE_FILE: load_record,
    TWIN_FILE: lambda directory: require_no_twin(directory, "n1", 0),
}


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(path))


def make_link(target: str, path: Path) -> None:
    path.symlink_to(target)


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, make_socket, partial(make_link, "/dev/zero")],
    ids=["fifo", "directory", "socket", "device"],
)
@pytest.mark.parametrize("name", LOADERS)
def test_what_is_no_file_is_one_sentence_and_nothing_waits_for_it(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(OperatorError) as caught:
        LOADERS[name](tmp_path)
    sentence = str(caught.value)
    assert sentence.startswith(f"cannot read {tmp_path / name} (")
    assert sentence.endswith("): remove it, or put a file there")
