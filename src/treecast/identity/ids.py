"""Identifiers derived from keys (docs/protocol.md section 2)."""

from __future__ import annotations

from hashlib import sha256

from treecast.base.addresses import MacAddress
from treecast.base.ids import NETWORK_ID_BYTES, NODE_ID_BYTES, NetworkId, NodeId, NodeIndex

KEY_BYTES = 32
"""Public and private keys of Ed25519 (RFC 8032) and X25519 (RFC 7748)."""

MAX_NODE_INDEX = 0xFFFFFFFF

ISSUER_ID_BYTES = 8
"""Length of the id by which a certificate names the CA key that signed it."""

_NETWORK_ID_CONTEXT = b"treecast network id 1"
_KEY_FINGERPRINT_CONTEXT = b"treecast network key fingerprint 1"
_ISSUER_ID_CONTEXT = b"treecast issuer id 1"
_NODE_ID_CONTEXT = b"treecast node id 1"
_NODE_MAC_PREFIX = b"\x02\x54"  # locally administered (IEEE 802 U/L bit), individual


def derive_network_id(ca_public_key: bytes) -> NetworkId:
    """The id of the network whose CA has this Ed25519 public key (32 bytes)."""
    return NetworkId(sha256(_NETWORK_ID_CONTEXT + ca_public_key).digest()[:NETWORK_ID_BYTES])


def network_key_fingerprint(network_key: bytes) -> str:
    """A name for the secret key (32 random bytes), by which people compare it on two machines: hexadecimal."""
    return sha256(_KEY_FINGERPRINT_CONTEXT + network_key).digest()[:8].hex()


def derive_issuer_id(ca_public_key: bytes) -> bytes:
    """The id by which certificates name this Ed25519 public key (32 bytes) of a CA."""
    return sha256(_ISSUER_ID_CONTEXT + ca_public_key).digest()[:ISSUER_ID_BYTES]


def derive_node_id(static_key: bytes, signing_key: bytes) -> NodeId:
    """The id of the node with these X25519 and Ed25519 public keys (32 bytes each)."""
    return NodeId(sha256(_NODE_ID_CONTEXT + static_key + signing_key).digest()[:NODE_ID_BYTES])


def node_mac(node_index: NodeIndex) -> MacAddress:
    """The address of the node's own TAP: ``02:54``, then the node index."""
    return MacAddress(_NODE_MAC_PREFIX + node_index.to_bytes(4, "big"))
