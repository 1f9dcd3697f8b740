"""A node's identity: its certificate and the private keys that it names; and how the CA makes one."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from treecast.base.errors import OperatorError
from treecast.base.ids import NodeId
from treecast.identity.certificate import MAX_TIME_S, Certificate, Claims, issue
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network
from treecast.identity.registry import Issued, Registry, assign, keep

DAY_S = 86_400
MAX_VALIDITY_DAYS = 36_500
CLOCK_TOLERANCE_S = 3_600
"""A certificate is valid from this long before its issue: other machines' clocks may be behind the CA's."""


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
    is there already gets a new certificate, and keeps its index and addresses.
    """

    name: str
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    validity_days: int
    replace: bool = False


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
        if not 1 <= request.validity_days <= MAX_VALIDITY_DAYS:
            raise OperatorError(
                f"a certificate is valid for 1 to {MAX_VALIDITY_DAYS} days: {request.validity_days} is outside"
            )
        network = self.network
        give = keep if request.replace else assign
        assigned = give(network, self.registry, request.name, request.ipv4, request.ipv6)
        claims = Claims(
            network_id=network.id,
            node_index=assigned.index,
            name=request.name,
            static_key=keys.static.public,
            signing_key=keys.signing.public,
            ipv4=IPv4Interface((assigned.ipv4, network.ipv4.prefixlen)),
            ipv6=IPv6Interface((assigned.ipv6, network.ipv6.prefixlen)),
            not_before_s=max(0, int(now_unix_s) - CLOCK_TOLERANCE_S),
            not_after_s=min(MAX_TIME_S, int(now_unix_s) + request.validity_days * DAY_S),
        )
        identity = NodeIdentity(network, issue(self.key, claims), keys)
        issued = Issued(
            assigned.index, request.name, identity.node_id, assigned.ipv4, assigned.ipv6, claims.not_after_s
        )
        return identity, self.registry.with_node(issued)
