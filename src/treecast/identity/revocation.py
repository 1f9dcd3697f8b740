"""Revocations that one node knows: which certificates the CA has taken back.

By serial, so no clock has a part in it: what the CA issues for a node afterwards has a higher one.
"""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate

CERTIFICATE_REVOKED = "certificate_revoked"


class Revocations:
    """The highest serial that is revoked of each node, and the name that the node had. As many as there are records of
    the CA (``MAX_CA_RECORDS``).
    """

    def __init__(self) -> None:
        self._revoked: dict[NodeIndex, tuple[int, str]] = {}
        self._learned: dict[NodeIndex, None] = {}

    def put(self, node: NodeIndex, serial: int, name: str) -> None:
        """The certificates of a node up to this serial are void, for good."""
        if node not in self._revoked or self._revoked[node][0] < serial:
            self._revoked[node] = (serial, name)
            self._learned[node] = None

    def take_learned(self) -> list[NodeIndex]:
        """The nodes of which certificates were revoked since the last call."""
        learned, self._learned = list(self._learned), {}
        return learned

    def is_revoked(self, certificate: Certificate) -> bool:
        return self.is_serial_revoked(certificate.node_index, certificate.serial)

    def is_serial_revoked(self, node: NodeIndex, serial: int) -> bool:
        """Whether the node's certificate with this serial is void."""
        revoked = self._revoked.get(node)
        return revoked is not None and serial <= revoked[0]

    def require_none(self, certificate: Certificate) -> Certificate:
        """The certificate; MalformedError ``certificate_revoked`` if the CA has taken it back."""
        if self.is_revoked(certificate):
            raise MalformedError(CERTIFICATE_REVOKED)
        return certificate

    def serial(self, node: NodeIndex) -> int | None:
        """The highest one that is revoked."""
        revoked = self._revoked.get(node)
        return None if revoked is None else revoked[0]

    def name(self, node: NodeIndex) -> str:
        """The node's name in its revocation; empty where there is none."""
        return self._revoked.get(node, (0, ""))[1]

    def nodes(self) -> Iterator[NodeIndex]:
        """The nodes of which certificates are revoked; some may have newer ones."""
        return iter(tuple(self._revoked))
