"""The vectors of docs/vectors-identity.json, made again from their private keys."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import IPv4Interface, IPv6Interface, ip_network
from pathlib import Path

import msgspec

from treecast.base.addresses import IPNetwork
from treecast.base.ids import NodeIndex
from treecast.identity.certificate import Certificate, CertificateContent, Extension, issue
from treecast.identity.ids import derive_network_id, derive_node_id, node_mac
from treecast.identity.keys import NodeKeys, SigningKey, verify
from treecast.identity.network import unique_local_prefix
from treecast.identity.rights import Rights, Role

_FILE = Path(__file__).parents[3] / "docs" / "vectors-identity.json"


class _Node(msgspec.Struct, forbid_unknown_fields=True):
    static_private_key: str
    static_public_key: str
    signing_private_key: str
    signing_public_key: str
    node_id: str
    node_index: int
    node_mac: str
    issuer_id: str
    serial: int
    name: str
    ipv4: str | None
    ipv6: str | None
    not_before_s: int
    not_after_s: int
    roles: int
    send_to: list[str] | None
    receive_from: list[str] | None
    hosts: int
    groups: int
    area: int
    extensions: list[tuple[int, bool, str]]
    certificate: str


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    private_key: str
    context: str
    body: str
    signature: str


class _Vectors(msgspec.Struct, forbid_unknown_fields=True):
    about: str
    ca_private_key: str
    ca_public_key: str
    network_id: str
    unique_local_prefix: str
    nodes: list[_Node]
    signature: _Signature


_VECTORS = msgspec.json.decode(_FILE.read_bytes(), type=_Vectors)
_CA_KEY = SigningKey(bytes.fromhex(_VECTORS.ca_private_key))


def _keys(node: _Node) -> NodeKeys:
    return NodeKeys.from_seeds(bytes.fromhex(node.static_private_key), bytes.fromhex(node.signing_private_key))


def _prefixes(texts: list[str] | None) -> tuple[IPNetwork, ...] | None:
    return None if texts is None else tuple(ip_network(text) for text in texts)


def test_the_network_id_is_derived_from_the_ca_key() -> None:
    assert _CA_KEY.public.hex() == _VECTORS.ca_public_key
    assert str(derive_network_id(_CA_KEY.public)) == _VECTORS.network_id
    assert sha256(b"treecast network id 1" + _CA_KEY.public).hexdigest()[:32] == _VECTORS.network_id


def test_the_default_ipv6_prefix_is_derived_from_the_network_id() -> None:
    assert str(unique_local_prefix(derive_network_id(_CA_KEY.public))) == _VECTORS.unique_local_prefix


def test_node_ids_and_macs_are_derived_from_keys_and_indices() -> None:
    for node in _VECTORS.nodes:
        keys = _keys(node)
        assert (keys.static.public.hex(), keys.signing.public.hex()) == (
            node.static_public_key,
            node.signing_public_key,
        )
        assert str(derive_node_id(keys.static.public, keys.signing.public)) == node.node_id
        expected = sha256(b"treecast node id 1" + keys.static.public + keys.signing.public).hexdigest()[:32]
        assert expected == node.node_id
        assert str(node_mac(NodeIndex(node.node_index))) == node.node_mac


def test_certificates_are_these_bytes() -> None:
    for node in _VECTORS.nodes:
        keys = _keys(node)
        claims = CertificateContent(
            network_id=derive_network_id(_CA_KEY.public),
            node_index=NodeIndex(node.node_index),
            name=node.name,
            static_key=keys.static.public,
            signing_key=keys.signing.public,
            ipv4=IPv4Interface(node.ipv4) if node.ipv4 else None,
            ipv6=IPv6Interface(node.ipv6) if node.ipv6 else None,
            not_before_s=node.not_before_s,
            not_after_s=node.not_after_s,
            serial=node.serial,
            rights=Rights(
                Role(node.roles),
                _prefixes(node.send_to),
                _prefixes(node.receive_from),
                node.hosts,
                node.groups,
                node.area,
            ),
            extensions=tuple(
                Extension(number, critical, bytes.fromhex(value)) for number, critical, value in node.extensions
            ),
        )
        assert issue(_CA_KEY, claims).encode().hex() == node.certificate
        certificate = Certificate.decode(bytes.fromhex(node.certificate))
        certificate.verify(_CA_KEY.public, node.not_after_s)
        assert certificate.issuer.hex() == node.issuer_id
        assert str(certificate.node_id) == node.node_id


def test_a_signature_is_these_bytes() -> None:
    vector = _VECTORS.signature
    key, context, body = (
        SigningKey(bytes.fromhex(vector.private_key)),
        vector.context.encode(),
        bytes.fromhex(vector.body),
    )
    assert key.sign(context, body).hex() == vector.signature
    assert verify(key.public, context, body, bytes.fromhex(vector.signature))
