"""The CA key stays in one file of the network's directory, whatever verbs use it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tests.unit.cli.running_verbs import ok

CA_KEY = Path("lab/ca.key")
USES = (
    ("node", "add", "alice", "--network", "lab"),
    ("node", "add", "--replace", "alice", "--network", "lab", "--dir", "again"),
    ("node", "renew", "alice", "--network", "lab", "--dir", "renewed"),
    ("node", "request", "bob"),
    ("node", "sign", "bob/node.request", "--network", "lab"),
    ("node", "accept", "bob.admission", "--dir", "bob"),
    ("node", "add", "carol", "--network", "lab"),
    ("node", "revoke", "carol", "--network", "lab"),
    ("revocation", "apply", "carol.revocation", "again"),
    ("network", "show", "lab"),
    ("network", "show", "lab", "--json"),
    ("node", "list", "lab", "--json"),
)


def forms() -> list[bytes]:
    """The key as it is in memory, in a file, and as people write bytes."""
    key = load_pem_private_key(CA_KEY.read_bytes(), password=None)
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    body = CA_KEY.read_bytes().splitlines()[1]
    return [seed, seed.hex().encode(), base64.b64encode(seed), body]


def test_no_verb_writes_or_shows_the_ca_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [ok("network", "create", "lab")] + [ok(*words) for words in USES]
    files = [path for path in Path().rglob("*") if path.is_file() and path != CA_KEY]
    assert {"again", "renewed", "bob", "carol", "lab"} <= {path.parts[0] for path in files}
    keys = forms()
    assert keys[3] in CA_KEY.read_bytes() and len(keys[0]) == 32
    for key in keys:
        assert [path for path in files if key in path.read_bytes()] == []
        assert [text for text in shown if key in text.encode()] == []
