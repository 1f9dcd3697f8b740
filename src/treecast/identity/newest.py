"""The newest certificates: of two of one node the one that was issued later counts, by serial, whichever is shown.

With the same keys (``node renew``) both are the node's own proof of who it is, and who shows the older one has the
rights of the newer: else a member with two could take a right, lose it and take it again with every message.

``node add --replace`` in another directory makes new keys for a node that is there: the certificate before is replaced
from then on, and refused, though its time has not ended. Both are the CA's, so neither needs a proof of who shows it.
"""

from __future__ import annotations

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_NEWEST_CERTIFICATES
from treecast.identity.certificate import Certificate

CERTIFICATE_REPLACED = "certificate_replaced"


class NewestCertificates:
    """The newest certificates that one node has seen, by node index, its own among them; kept until it ends."""

    def __init__(self, own: Certificate) -> None:
        self._own = own
        self._newest: dict[NodeIndex, Certificate] = {own.node_index: own}
        self._with_other_keys: dict[NodeIndex, None] = {}

    def require(self, certificate: Certificate) -> Certificate:
        """The certificate that counts for who shows this genuine one: the newest that is known. MalformedError
        ``certificate_replaced`` if that has other keys.
        """
        known = self._newest.get(certificate.node_index)
        if known is None:
            if len(self._newest) < MAX_NEWEST_CERTIFICATES:
                self._newest[certificate.node_index] = certificate
            return certificate
        if _age(certificate) >= _age(known):
            self._newest[certificate.node_index] = certificate
            if not has_same_keys(certificate, known):
                self._with_other_keys[certificate.node_index] = None
        elif not has_same_keys(certificate, known):
            raise MalformedError(CERTIFICATE_REPLACED)
        return self._newest[certificate.node_index]

    def with_other_keys(self) -> tuple[NodeIndex, ...]:
        """The nodes of which a certificate was replaced by one with other keys: of no others ``replacing`` has one."""
        return tuple(self._with_other_keys)

    def replacing(self, certificate: Certificate) -> Certificate | None:
        """The newer certificate of the same node, with other keys."""
        newest = self._newest.get(certificate.node_index)
        return newest if newest is not None and not has_same_keys(newest, certificate) else None

    def name(self, node: NodeIndex) -> str:
        """The name in the newest certificate of the node; empty where none is known."""
        newest = self._newest.get(node)
        return newest.name if newest is not None else ""

    def replacing_own(self) -> Certificate | None:
        """The certificate because of which this node's is believed by nobody."""
        return self.replacing(self._own)


def another_node(where: str) -> str:
    """Advice for a second machine that runs one node's directory: with a node of the same name it would again.
    ``where``: ``here`` or ``there``, as the reader stands to it.
    """
    return (
        f"to have a node {where}, too, make one of another name where the CA key is (treecast node add OTHER-NAME), "
        f"and take its directory {where}"
    )


def has_same_keys(one: Certificate, other: Certificate) -> bool:
    return (one.static_key, one.signing_key) == (other.static_key, other.signing_key)


def is_renewal(certificate: Certificate, before: Certificate) -> bool:
    """Whether the certificate was issued later, for the same keys."""
    newer = is_newer(certificate, before)
    return newer and has_same_keys(certificate, before)


def is_newer(certificate: Certificate, other: Certificate) -> bool:
    """Whether the CA issued the certificate later than another one of the same node, whatever its clock said."""
    return _age(certificate) > _age(other)


def _age(certificate: Certificate) -> tuple[int, int, bytes, bytes]:
    """Greater for the newer: serials of a CA only rise. Of two with one serial, where its directory was used in two
    places, times and then keys decide.
    """
    return certificate.serial, certificate.not_before_s, certificate.static_key, certificate.signing_key
