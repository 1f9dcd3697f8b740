"""A node's identity: its certificate and the private keys that it names; and how the CA makes one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from treecast.base.errors import OperatorError
from treecast.base.ids import NodeId
from treecast.base.limits import MAX_CERTIFICATE_BYTES
from treecast.base.time import iso_date
from treecast.identity.certificate import MAX_TIME_S, Certificate, CertificateContent, CertificateError, issue
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network
from treecast.identity.registry import Assignment, Issued, Registry, assign, keep
from treecast.identity.rights import DEFAULT_RIGHTS, NO_LIMITS, GivenLimits, Rights, Role

DAY_S = 86_400
MAX_VALIDITY_DAYS = 36_500
CLOCK_TOLERANCE_S = 3_600
"""A certificate is valid from this long before its issue: other machines' clocks may be behind the CA's."""


class KeysRevokedError(OperatorError):
    """The keys of a node get no certificate any more: new ones do."""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A node's certificate and keys. They belong together; whether the certificate is valid is not checked here."""

    network: Network
    certificate: Certificate
    keys: NodeKeys

    @property
    def node_id(self) -> NodeId:
        return self.certificate.node_id

    @property
    def signing_key(self) -> SigningKey:
        return self.keys.signing

    @property
    def static_private_key(self) -> bytes:
        """X25519, 32 bytes."""
        return self.keys.static.private


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """The node that the operator wants. Addresses are the next free ones where they are None. ``replace``: a node that
    is there already gets a new certificate, and keeps its index and addresses. ``roles``: None for those that it has,
    and of a new node the default; so ``limits``.
    """

    name: str
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    validity_days: int
    replace: bool = False
    roles: Role | None = None
    limits: GivenLimits = NO_LIMITS


def keys_match(certificate: Certificate, keys: NodeKeys) -> bool:
    """Whether the certificate is about these keys."""
    return certificate.static_key == keys.static.public and certificate.signing_key == keys.signing.public


@dataclass(frozen=True, slots=True)
class Authority:
    """A network's CA: its key, and the registry of what it has given out."""

    network: Network
    key: SigningKey
    registry: Registry

    def __post_init__(self) -> None:
        if self.key.public != self.network.ca_public_key:
            raise OperatorError(f"the CA key is not that of network {self.network.name}: put the right one back")

    def admit(self, request: NodeRequest, keys: NodeKeys, now_unix_s: float) -> tuple[NodeIdentity, Registry]:
        """The new node and the registry that lists it; OperatorError where there can be none."""
        certificate, registry = self.certify(request, keys.static.public, keys.signing.public, now_unix_s)
        return NodeIdentity(self.network, certificate, keys), registry

    def certify(
        self, request: NodeRequest, static_key: bytes, signing_key: bytes, now_unix_s: float
    ) -> tuple[Certificate, Registry]:
        """A certificate for these public keys, and the registry that has it; OperatorError where there can be none."""
        known = self.registry.node(request.name)
        if (
            known is not None
            and not request.replace
            and (known.static_key, known.signing_key)
            == (
                static_key,
                signing_key,
            )
        ):
            raise OperatorError(
                f"the request of {request.name} was signed already, until {iso_date(known.not_after_s)}: give the node "
                "the file that came of it, or sign again with --replace"
            )
        if known is not None and known.revoked and {static_key, signing_key} & {known.static_key, known.signing_key}:
            raise KeysRevokedError(
                f"node {request.name} was revoked, and these are the keys of then: make new ones, in another directory"
            )
        give = keep if request.replace else assign
        assigned = give(self.network, self.registry, request.name, request.ipv4, request.ipv6)
        rights = known.rights if known is not None else DEFAULT_RIGHTS
        if request.roles is not None:
            rights = replace(rights, roles=request.roles)
        rights = request.limits.applied(rights)
        return self._issue(assigned, static_key, signing_key, rights, request.name, request.validity_days, now_unix_s)

    def renew(
        self,
        name: str,
        validity_days: int,
        roles: Role | None,
        now_unix_s: float,
        limits: GivenLimits = NO_LIMITS,
    ) -> tuple[Certificate, Registry]:
        """Another certificate of a node for the keys, name and addresses that it has, and for its roles and limits
        where no others are given; and the registry that has it. OperatorError where there can be none.
        """
        node = self.registry.node(name)
        if node is None:
            raise OperatorError(self._no_node(name))
        if node.revoked:
            raise KeysRevokedError(f"node {name} was revoked, its keys get no certificate any more: give it new ones")
        rights = limits.applied(node.rights if roles is None else replace(node.rights, roles=roles))
        assigned = Assignment(node.index, node.ipv4, node.ipv6)
        return self._issue(assigned, node.static_key, node.signing_key, rights, name, validity_days, now_unix_s)

    def revoke(self, name: str) -> tuple[Issued, Registry]:
        """A node whose keys get no certificate any more, and the registry that has it so; OperatorError."""
        node = self.registry.node(name)
        if node is None:
            raise OperatorError(self._no_node(name))
        revoked = replace(node, revoked=True)
        return revoked, self.registry.with_node(revoked)

    def void_older(self, name: str) -> Issued:
        """A node of whose certificates only the newest is to count; OperatorError where none does."""
        node = self.registry.node(name)
        if node is not None and not node.revoked:
            return node
        gone = f"node {name} was revoked with all its certificates: leave out --older"
        raise OperatorError(self._no_node(name) if node is None else gone)

    def _no_node(self, name: str) -> str:
        return f"network {self.network.name} has no node {name}: treecast node list shows those it has"

    def _issue(
        self,
        assigned: Assignment,
        static_key: bytes,
        signing_key: bytes,
        rights: Rights,
        name: str,
        validity_days: int,
        now_unix_s: float,
    ) -> tuple[Certificate, Registry]:
        """A certificate with the next serial."""
        if not 1 <= validity_days <= MAX_VALIDITY_DAYS:
            raise OperatorError(f"a certificate is valid for 1 to {MAX_VALIDITY_DAYS} days: {validity_days} is outside")
        network, serial = self.network, self.registry.last_serial + 1
        content = CertificateContent(
            network_id=network.id,
            node_index=assigned.index,
            name=name,
            static_key=static_key,
            signing_key=signing_key,
            ipv4=IPv4Interface((assigned.ipv4, network.ipv4.prefixlen)),
            ipv6=IPv6Interface((assigned.ipv6, network.ipv6.prefixlen)),
            not_before_s=max(0, int(now_unix_s) - CLOCK_TOLERANCE_S),
            not_after_s=min(MAX_TIME_S, int(now_unix_s) + validity_days * DAY_S),
            serial=serial,
            rights=rights,
        )
        for other in self.registry.nodes:
            if other.index != assigned.index and (other.static_key == static_key or other.signing_key == signing_key):
                raise OperatorError(f"node {other.name} has a key of these already: make new ones for {name}")
        certificate = self._sign(content)
        addresses = assigned.ipv4, assigned.ipv6
        issued = Issued(
            assigned.index, name, static_key, signing_key, *addresses, serial, content.not_after_s, content.rights
        )
        return certificate, self.registry.with_node(issued)

    def _sign(self, content: CertificateContent) -> Certificate:
        try:
            return issue(self.key, content)
        except CertificateError as error:  # names, addresses and dates are good ones here
            raise OperatorError(
                f"the certificate of {content.name} would be longer than {MAX_CERTIFICATE_BYTES} bytes: give it fewer "
                f"prefixes of groups"
            ) from error
