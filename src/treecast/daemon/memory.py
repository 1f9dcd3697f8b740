"""Knowledge that the node keeps between its runs, each kind in a file of its own: other nodes, VLANs, PIM routers,
revocations.

VLANs: their listeners may send no report before they are queried. PIM routers: they do not send their Joins again for a
minute.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from treecast.adapters import clock
from treecast.adapters.files import why_unwritable
from treecast.adapters.node_directory import CERTIFICATE_FILE
from treecast.adapters.peers_file import load_peers, write_peers
from treecast.adapters.pim_file import load_pim, write_pim
from treecast.adapters.remembered_file import DamagedError
from treecast.adapters.revocations_file import load_ca_records, write_ca_records
from treecast.adapters.vlans_file import load_vlans, write_vlans
from treecast.base.errors import OperatorError
from treecast.base.ids import NetworkId
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after
from treecast.daemon.log_lines import Log
from treecast.daemon.periodic_timer import expiry
from treecast.daemon.supervision import Supervision
from treecast.identity.network import Network
from treecast.links.memory import Remembered
from treecast.multicast import PimSegment

LOOK_INTERVAL: Duration = 5.0
NODES_WRITE_INTERVAL: Duration = 60.0
VLANS_WRITE_INTERVAL: Duration = 60.0
PIM_WRITE_INTERVAL: Duration = 10.0
"""Shorter: Joins of a minute ago may have ended."""

T = TypeVar("T")


class RemembersLinks(Protocol):
    """An engine, or its links."""

    def recall(self, now: Instant, nodes: Sequence[Remembered]) -> None: ...
    def remembered(self, now: Instant) -> tuple[Remembered, ...]: ...


class RemembersHosts(Protocol):
    """A running node."""

    def recall_vlans(self, vlans: tuple[int, ...]) -> None: ...
    def vlans(self) -> tuple[int, ...]: ...
    def recall_pim(self, remembered: tuple[PimSegment, ...]) -> None: ...
    def pim_routers(self) -> tuple[PimSegment, ...]: ...


class KnowsRevocations(Protocol):
    """A running node."""

    def take_ca_records(self, wires: tuple[bytes, ...]) -> None: ...
    def ca_records(self) -> tuple[bytes, ...]: ...


class RememberedKind(Generic[T]):
    """One kind of values, and its file. ``fault``: why the file could not be written, while it cannot; or empty."""

    def __init__(
        self,
        what: str,
        *,
        load: Callable[[], tuple[T, ...]],
        write: Callable[[tuple[T, ...]], None],
        recall: Callable[[tuple[T, ...]], None],
        present: Callable[[], tuple[T, ...]],
        write_interval: Duration,
        essence: Callable[[T], object] = lambda value: value,
    ) -> None:
        """``what``: in words. ``load`` and ``write`` raise OperatorError; ``present``: what is worth remembering;
        ``essence``: what of a value is worth writing while the node runs.
        """
        self.what = what
        self.fault = ""
        self.in_the_way = False
        """A directory has the file's name: no fault of the directory that the file is in."""
        self._is_no_file = False
        self._load = load
        self._write_file = write
        self._recall = recall
        self._present = present
        self._write_interval = write_interval
        self._essence = essence
        self._written: tuple[T, ...] = ()
        self._next_write: Instant = clock.monotonic()

    def recall(self, log: Log) -> None:
        """The node learns what an earlier run knew. A file that cannot be read is one warning."""
        try:
            self._written = self._load()
        except DamagedError as error:
            self._written = error.kept
            log.warning(f"not all {self.what} of earlier runs are remembered", reason=str(error))
        except OperatorError as error:
            self._is_no_file = getattr(error.__cause__, "errno", 0) in (errno.ENODEV, errno.ENXIO)
            log.warning(f"{self.what} of earlier runs are not remembered", reason=str(error))
        if self._written:
            self._recall(self._written)

    def unwritten(self) -> tuple[T, ...] | None:
        """The present values when the file has others; None when it has them."""
        present = self._present()
        return present if self._is_no_file or present != self._written else None

    def due(self, now: Instant) -> tuple[T, ...] | None:
        """The values of another essence than the file's, at most once in a write interval; what could not be written is
        tried at each look.
        """
        present = self._present()
        if not self._is_no_file and list(map(self._essence, present)) == list(map(self._essence, self._written)):
            self.fault = ""
            return None
        if now < self._next_write and not self.fault:
            return None
        self._next_write = after(now, self._write_interval)
        return present

    def write(self, present: tuple[T, ...]) -> None:
        """Write the file; ``fault`` is empty where that was possible."""
        try:
            self._write_file(present)
        except OperatorError as error:
            self.fault, self.in_the_way = str(error), isinstance(error.__cause__, IsADirectoryError)
            return
        self._written, self.fault, self._is_no_file = present, "", False


class Memory:
    """The kinds of one node, in its directory. A directory that cannot be written is one problem: the node works
    without. ``problems`` is a source of ``daemon.problems``.
    """

    def __init__(self, directory: Path, kinds: Sequence[RememberedKind[Any]], log: Log) -> None:
        """Each kind is recalled by itself, when the node is ready for it; the memory follows all of them."""
        self._directory = directory
        self._kinds = kinds
        self._log = log

    def start(self, supervision: Supervision, unrecalled: Sequence[RememberedKind[Any]]) -> None:
        """Recall these kinds, and follow all until the node stops."""
        for kind in unrecalled:
            kind.recall(self._log)
        supervision.start("remembering", self.follow)

    def problems(self, _: Instant) -> Iterator[Problem]:
        """The directory cannot be written: its disk is full, or read-only, or it is closed or gone; or a file in it."""
        faulty = [kind for kind in self._kinds if kind.fault]
        why = why_unwritable(self._directory)
        if not (faulty or why) or _is_closed(self._directory):
            return
        if not why and all(kind.in_the_way for kind in faulty):
            what = ", ".join(kind.what for kind in faulty)
            faults = ", and ".join(kind.fault for kind in faulty)
            text = f"{what} are not remembered for the next start: {faults}"
        else:
            why = why or next(kind.fault for kind in faulty if not kind.in_the_way)
            lost = (
                "what this node learns of other nodes and of its LANs is not remembered for the next start, "
                "and bridge add and bridge remove would fail"
            )
            text = f"{self._directory} cannot be written, so {lost}: {why}"
        yield Problem("directory_unwritable", str(self._directory), text)

    async def follow(self) -> None:
        """Look at what has changed, and write what is due."""
        while True:
            await expiry(LOOK_INTERVAL)
            for kind in self._kinds:
                due = kind.due(clock.monotonic())
                if due is not None:
                    await asyncio.to_thread(kind.write, due)

    def save(self) -> None:
        """The node ends, and nobody reads its problems any more."""
        before = self._fault()
        for kind in self._kinds:
            unwritten = kind.unwritten()
            if unwritten is not None:
                kind.write(unwritten)
        if self._fault() and not before:
            lost = ", ".join(kind.what for kind in self._kinds if kind.fault)
            self._log.warning(f"{lost} are not remembered for the next start", reason=self._fault())

    def _fault(self) -> str:
        return next((kind.fault for kind in self._kinds if kind.fault), "")


def _is_closed(directory: Path) -> bool:
    """Whether this account may not look into the directory, which is a problem of the certificate there first."""
    try:
        (directory / CERTIFICATE_FILE).lstat()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def remembered_nodes(directory: Path, network: NetworkId, links: RemembersLinks) -> RememberedKind[Remembered]:
    """Links try the nodes of an earlier run."""
    return RememberedKind(
        "nodes",
        load=partial(load_peers, directory, network),
        write=partial(write_peers, directory, network),
        recall=lambda nodes: links.recall(clock.monotonic(), nodes),
        present=lambda: links.remembered(clock.monotonic()),
        write_interval=NODES_WRITE_INTERVAL,
        essence=Remembered.to_the_hour,
    )


def remembered_ca_records(directory: Path, network: Network, node: KnowsRevocations) -> RememberedKind[bytes]:
    """The records of the CA are known before anybody is."""
    return RememberedKind(
        "revocations",
        load=partial(load_ca_records, directory, network),
        write=partial(write_ca_records, directory),
        recall=node.take_ca_records,
        present=node.ca_records,
        write_interval=0.0,
    )


def remembered_vlans(directory: Path, node: RemembersHosts) -> RememberedKind[int]:
    """The VLANs of an earlier run are queried."""
    return RememberedKind(
        "VLANs",
        load=partial(load_vlans, directory),
        write=partial(write_vlans, directory),
        recall=node.recall_vlans,
        present=node.vlans,
        write_interval=VLANS_WRITE_INTERVAL,
    )


def remembered_pim(directory: Path, node: RemembersHosts) -> RememberedKind[PimSegment]:
    """The Joins of PIM routers count after a start, until their hold time ends."""
    return RememberedKind(
        "Joins of PIM routers",
        load=partial(load_pim, directory),
        write=partial(write_pim, directory),
        recall=node.recall_pim,
        present=node.pim_routers,
        write_interval=PIM_WRITE_INTERVAL,
    )
