"""Files in the node's directory that have changed: a renewed certificate, which the node takes while it runs, or files
that it could not start with.

Looks at the files' dates, modes and owners every few seconds, and reads them only when those have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from treecast.adapters import clock, storage
from treecast.adapters.bridge_record import carries_lans
from treecast.adapters.files import Stamp, is_gone, stamp
from treecast.adapters.node_directory import CERTIFICATE_FILE, NODE_KEY_FILE
from treecast.base.errors import OperatorError
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, iso_date
from treecast.identity.certificate import Certificate
from treecast.identity.network import Network
from treecast.identity.newest import has_same_keys, is_renewal
from treecast.identity.node import NodeIdentity
from treecast.identity.rights import Role, advice_to_bridge

LOOK_INTERVAL: Duration = 2.0


class Renewal:
    """``problems`` is a source of ``daemon.problems``. ``node``: as it started; ``take``: has the node use
    another one, for the same keys.
    """

    def __init__(self, directory: Path, node: NodeIdentity, take: Callable[[Certificate], None]) -> None:
        self._directory = directory
        self._own = node.certificate
        self._network = node.network
        self._take = take
        self._files = [directory / name for name in (CERTIFICATE_FILE, NODE_KEY_FILE, storage.NETWORK_FILE)]
        self._next_look = Instant(0.0)
        self._seen: list[Stamp] = []
        self._judged: list[Stamp] = []
        self._found: Problem | None = None

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Read the files as a start would: problems where they are not those in use."""
        if now >= self._next_look:
            self._next_look = Instant(now + LOOK_INTERVAL)
            self._look()
        if self._found is not None:
            yield self._found

    def look_now(self) -> None:
        """Read the files at once: whoever has written them says so."""
        self._seen = self._judged = self._stamps()
        self._found = self._judge()

    def _look(self) -> None:
        """Files that have changed are read when they are the same at the next look: somebody may be copying them.

        While there is a problem they are read at each look: what mends it may be the clock, or no change of theirs.
        """
        before, self._seen = self._seen, self._stamps()
        if is_gone(self._directory):  # that is one problem, which ``daemon.memory`` has
            self._judged, self._found = [], None
        elif self._seen == before and (self._seen != self._judged or self._found is not None):
            self._judged = self._seen
            self._found = self._judge()

    def _stamps(self) -> list[Stamp]:
        """State of the files, and mode and owner of the directory: its dates change with the node's own files."""
        return [*(stamp(path) for path in self._files), stamp(self._directory)[2:5]]

    def _judge(self) -> Problem | None:
        own, directory = self._own, self._directory
        try:
            found = storage.load_unverified(directory)
            if (found.certificate, found.network.id) == (own, own.network_id):
                return self._compare(found.network)
            other = storage.load_node(directory, clock.unix_s()).certificate
        except OperatorError as error:
            text = f"node {own.name} could not be started again with what is in {directory} now: {error}"
            return Problem("directory_unusable", own.name, text)
        if other.node_index != own.node_index or other.network_id != own.network_id:
            text = (
                f"{directory} has the files of another node now ({other.name}), not those that {own.name} runs with: "
                f"put the right ones back, or start the node again to become {other.name}"
            )
            return Problem("directory_unusable", own.name, text)
        return self._use(other) or self._compare(found.network)

    def _compare(self, found: Network) -> Problem | None:
        """The network file of the same network, with another key or other prefixes than the node runs with."""
        own, name = self._network, self._own.name
        if found.key != own.key:
            what = f"has another network key (fingerprint {found.key_fingerprint}) than {name} runs with"
            what += f" ({own.key_fingerprint}), and by that nodes do not answer each other"
        elif found != own:
            what = f"has another name or other prefixes than {name} runs with"
        else:
            return None
        path = self._directory / storage.NETWORK_FILE
        text = f"{path} {what}: put the right one back, or, if all nodes are to have this one, start {name} again"
        return Problem("directory_unusable", name, text)

    def _use(self, other: Certificate) -> Problem | None:
        """Take the other certificate of this node; a problem where that is not possible while the node runs."""
        own, directory = self._own, self._directory
        if not has_same_keys(other, own):
            why = "it is for other keys: start the node again to use it"
        elif (other.name, other.ipv4, other.ipv6) != (own.name, own.ipv4, own.ipv6):
            why = "it has another name or other addresses: start the node again to use it"
        elif not is_renewal(other, own):
            why = (
                f"it is older than the one in use, by its serial ({other.serial}, in use {own.serial}): put the newer "
                "one back, or renew the node once more, with the newest nodes.json"
            )
        elif Role.BRIDGE in own.rights.roles and Role.BRIDGE not in other.rights.roles and carries_lans(directory):
            why = (
                "it has not the role bridge, and the node carries LANs: run treecast bridge remove, or "
                f"{advice_to_bridge(own.name, other.rights.roles)} where the CA key is"
            )
        else:
            self._own = other
            self._take(other)
            return None
        until, used_until = iso_date(other.not_after_s), iso_date(own.not_after_s)
        text = (
            f"a certificate of {own.name}, valid until {until}, is in {directory}, and the one in use ends at "
            f"{used_until}: {why}"
        )
        return Problem("certificate_waits", own.name, text)
