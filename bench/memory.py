"""Memory of the data plane's tables: the growth of a process while many entries of one kind are made.

``python -m bench.memory`` prints it as JSON, from a process of its own: what others have freed is no growth.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import msgspec

from lab.planes import NETWORK, DataPlane, DataPlanes, session_of
from treecast import _native
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.commands import CreateTree, SetHost, SetRoute
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch

HOSTS, GROUPS, TREES, PEERS = 200_000, 30_000, 10_000, 2_000
FIRST = 5_000
"""Entries made before those that are measured: what a process takes with the first ones is not theirs."""
FIRST_PEER = 1_000


def table_bytes() -> dict[str, float]:
    """Resident bytes of one entry, by kind."""
    done = subprocess.run([sys.executable, "-m", "bench.memory"], capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=dict[str, float])


def _measured() -> Iterator[tuple[str, float]]:
    with DataPlanes(1, workers=1) as planes:
        root = planes[0]
        for kind, count, make in (
            ("host", HOSTS, _host),
            ("tree that starts here", TREES, _tree),
            ("group that is sent to", GROUPS, _group),
            ("peer with a session", PEERS, _peer),
        ):
            yield kind, _growth(root, count, make) / count


def _growth(root: DataPlane, count: int, make: Callable[[DataPlane, int], None]) -> int:
    for number in range(1, FIRST + 1):
        make(root, number)
    before = resident_bytes(os.getpid())
    for number in range(FIRST + 1, FIRST + count + 1):
        make(root, number)
    return resident_bytes(os.getpid()) - before


def _host(root: DataPlane, number: int) -> None:
    root.do(SetHost(0, MacAddress(b"\x02\xaa" + number.to_bytes(4, "big")), NodeIndex(2)))


def _tree(root: DataPlane, number: int) -> None:
    root.do(CreateTree(StreamId(number), TreeEpoch(1), KeyId(1)))


def _group(root: DataPlane, number: int) -> None:
    root.do(SetRoute(0, IPv4Address(b"\xef\x01" + number.to_bytes(2, "big")), None, StreamId(1)))


def _peer(root: DataPlane, number: int) -> None:
    """Both sides' handshakes, without a network between them."""
    first = _native.Handshake.initiate(root.key, NETWORK, 2 * number + FIRST_PEER)
    second = _native.Handshake.respond(root.key, NETWORK, 2 * number + FIRST_PEER + 1, first.init_datagram())
    first.read_response(second.write_response(b""))
    first.write_final(b"")
    endpoint = Endpoint(IPv4Address(f"198.18.{number >> 8}.{number & 0xFF}"), 7700)
    root.do(session_of(first, FIRST_PEER + number, endpoint, _native.AEAD_AES_256_GCM))


def resident_bytes(pid: int) -> int:
    """VmRSS (proc_pid_status(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(dict(_measured())))
