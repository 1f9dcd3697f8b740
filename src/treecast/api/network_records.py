"""Records of a network's directory, as ``--json`` prints them. Fields are only ever added."""

from __future__ import annotations

import msgspec


class NetworkView(msgspec.Struct, frozen=True):
    """A network as its directory has it. ``ca_public_key``: Ed25519, hexadecimal; ``key_fingerprint``: of the secret
    network key, which it does not show; ``revoked``: nodes, as far as the directory knows.
    """

    name: str
    id: str
    ipv4: str
    ipv6: str
    ca_public_key: str
    key_fingerprint: str = ""
    revoked: list[str] = []


class AdmittedNode(msgspec.Struct, frozen=True):
    """A node of a network's registry. ``valid_until``: ISO 8601, UTC."""

    name: str
    index: int
    node_id: str
    ipv4: str
    ipv6: str
    valid_until: str
    expired: bool
    roles: list[str]
    revoked: bool = False
