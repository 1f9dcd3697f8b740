"""Every byte layout of docs/protocol.md that the speaker writes or reads; sections are those of the document."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, replace

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

PORT = 7700

# section 3: handshakes

INIT, RESPONSE, FINAL, REFUSAL, SESSION, TREE, COOKIE = range(0xC0, 0xC7)
HANDSHAKE_LEN = 1136
MAC_LEN = 16
FINAL_NONCE_LEN = 8
_DH, _TAG = 32, 16
PAYLOAD_LENS = {
    INIT: HANDSHAKE_LEN - 8 - _DH - _TAG - 2 * MAC_LEN,
    RESPONSE: HANDSHAKE_LEN - 12 - _DH - (_DH + _TAG) - _TAG - MAC_LEN,
    FINAL: HANDSHAKE_LEN - 8 - (_DH + _TAG) - _TAG - MAC_LEN,
}
AES_GCM, CHACHA20 = 1, 2
PROTOCOL = 2
ML_KEM = 1
"""The capability of hybrid sessions."""


def prologue(network_id: bytes) -> bytes:
    return b"treecast 2" + network_id


def handshake_header(kind: int, *indices: int) -> bytes:
    return bytes((kind, 2, 0, 0)) + b"".join(struct.pack(">I", index) for index in indices)


def handshake_mac(network_key: bytes, data: bytes) -> bytes:
    key = hashlib.sha256(b"treecast handshake mac 2" + network_key).digest()
    return hmac.digest(key, data, "sha256")[:MAC_LEN]


def cookie_mac(cookie: bytes, data: bytes) -> bytes:
    return hmac.digest(cookie, data, "sha256")[:MAC_LEN]


def padded(kind: int, payload: bytes, nonce: bytes = b"") -> bytes:
    """The payload of message 2 or 3; ``nonce``: what stands behind that of FINAL."""
    return (struct.pack(">H", len(payload)) + payload + nonce).ljust(PAYLOAD_LENS[kind], b"\0")


def unpadded(payload: bytes) -> bytes:
    (length,) = struct.unpack_from(">H", payload)
    return payload[2 : 2 + length]


def with_cookie(init: bytes, cookie: bytes) -> bytes:
    """The INIT as a COOKIE has it sent again."""
    head = init[:-MAC_LEN]
    return head + cookie_mac(cookie, head)


def session_key(hash_: bytes, raw: bytes, initiator: int, responder: int, last: int, secret: bytes = b"") -> bytes:
    """``last``: 0 for what the initiator seals, 1 the responder, 2 a refusal; ``secret``: the link's, if it is in."""
    name = b"treecast hybrid session 1" if secret else b"treecast session 1"
    info = name + struct.pack(">II", initiator, responder) + bytes((last,))
    return HKDF(hashes.SHA256(), 32, hash_, info).derive(raw + secret)


@dataclass(frozen=True, slots=True)
class LinkSecret:
    """A secret by ML-KEM-768, and the id by which handshakes name it."""

    secret: bytes
    id: bytes

    @classmethod
    def of(cls, shared: bytes, key: bytes, ciphertext: bytes) -> LinkSecret:
        extracted = hmac.digest(hashlib.sha256(key + ciphertext).digest(), shared, "sha256")
        secret, name = ((b"treecast link secret 1", 32), (b"treecast link secret id 1", 8))
        return cls(_expand(extracted, *secret), _expand(extracted, *name))


# sections 4 and 5: sealed datagrams

FRAME, CONTROL, SENDER_KEY, PROBE, PROBE_REPLY, FRAGMENT, ANCHOR, HANDSHAKE = range(8)
TREE_STATE = 9
PATH_CHALLENGE, PATH_RESPONSE = 10, 11
BROADCAST, GRAFT, TICK, ANCHOR_REQUEST = 12, 13, 14, 15
GROWING = frozenset((PROBE, PROBE_REPLY, ANCHOR, TREE_STATE, PATH_CHALLENGE, PATH_RESPONSE, GRAFT, ANCHOR_REQUEST))
"""Kinds whose bodies may have more behind them (section 1, Growth)."""
LATER = b"of a later version"
"""Bytes that a speaker of a later version puts there, and into control messages behind their fields."""
PROBE_LEN = 8 + 16
SESSION_HEADER_LEN = 16
TREE_HEADER_LEN = 28
TREE_TAG_LEN = 8
SIGNED = 1
"""The flag of a tree datagram whose plaintext ends with its root's signature."""
SIGNATURE_LEN = 64


def aead(which: int, key: bytes) -> AESGCM | ChaCha20Poly1305:
    return AESGCM(key) if which == AES_GCM else ChaCha20Poly1305(key)


def inner(kind: int, body: bytes, flags: int = 0, csum_start: int = 0, csum_offset: int = 0) -> bytes:
    return bytes((kind, flags, csum_start, csum_offset)) + body


def session_header(receiver: int, counter: int) -> bytes:
    return bytes((SESSION, 0, 0, 0)) + struct.pack(">IQ", receiver, counter)


def nonce_of(header: bytes) -> bytes:
    """The nonce under a session's or a tree's header, whose last field is the counter."""
    return bytes(4) + header[-8:]


def session_datagram(which: int, key: bytes, receiver: int, counter: int, plaintext: bytes) -> bytes:
    header = session_header(receiver, counter)
    return header + aead(which, key).encrypt(nonce_of(header), plaintext, header)


def open_session_datagram(which: int, key: bytes, datagram: bytes) -> bytes:
    header, ciphertext = datagram[:SESSION_HEADER_LEN], datagram[SESSION_HEADER_LEN:]
    return aead(which, key).decrypt(nonce_of(header), ciphertext, header)


def fragment(number: int, part: int, parts: int, whole: int, data: bytes) -> bytes:
    return struct.pack(">IBBH", number, part, parts, whole) + data


@dataclass(frozen=True, slots=True)
class TreeState:
    """A state of a tree (section 6), and whose it is."""

    root: int
    stream: int
    epoch: int
    key_id: int
    anchor: int
    parent: int
    backup: int
    largest: int
    tree_key: bytes
    children: tuple[int, ...] = ()
    backup_children: tuple[int, ...] = ()
    flags: int = 0

    @classmethod
    def parse(cls, root: int, body: bytes) -> TreeState:
        stream, epoch, key_id, anchor, parent, backup, largest, count = struct.unpack_from(">IIIQIIHH", body)
        children, end = struct.unpack_from(f">{count}I", body, 48), 48 + 4 * count
        below = struct.unpack_from(f">{struct.unpack_from('>H', body, end)[0]}I", body, end + 2)
        flags = body[end + 2 + 4 * len(below)]
        return cls(root, stream, epoch, key_id, anchor, parent, backup, largest, body[32:48], children, below, flags)

    def emit(self) -> bytes:
        fixed = (self.stream, self.epoch, self.key_id, self.anchor, self.parent, self.backup, self.largest)
        head = struct.pack(">IIIQIIHH", *fixed, len(self.children))
        below = struct.pack(f">H{len(self.backup_children)}I", len(self.backup_children), *self.backup_children)
        return (
            head + self.tree_key + struct.pack(f">{len(self.children)}I", *self.children) + below + bytes((self.flags,))
        )


def mark(root: int, stream: int, epoch: int, counter: int) -> bytes:
    """The body of a graft, and of a backup's tick."""
    return struct.pack(">IIIQ", root, stream, epoch, counter)


@dataclass(frozen=True, slots=True)
class TreeKeys:
    """All that an offer (section 6) gives, and whose it is. ``context``: VLAN, group and source, or None.

    ``before_ends_ms``: how long the key ``before`` is good.
    ``epoch``, ``tree_key``: of the tree whose state names this key.
    """

    root: int
    stream: int
    key_id: int
    aead: int
    step: int
    first_counter: int
    secret: bytes
    context: list[object] | None
    epoch: int = 0
    tree_key: bytes = bytes(16)
    before: int = 0
    before_ends_ms: int = 0

    @classmethod
    def parse(cls, root: int, body: bytes) -> TreeKeys:
        stream, key_id, which, _, step, first, secret, *before = struct.unpack_from(">IIBBHQ32sIH", body)
        context = msgspec.msgpack.decode(body[58:])
        return cls(root, stream, key_id, which, step, first, secret, context, 0, bytes(16), *before)

    def emit(self) -> bytes:
        fixed = (self.stream, self.key_id, self.aead, 0, self.step, self.first_counter)
        return struct.pack(">IIBBHQ32sIH", *fixed, self.secret, self.before, self.before_ends_ms) + encode(self.context)

    def on(self, state: TreeState) -> TreeKeys:
        """The key with all that speaking on that tree takes."""
        return replace(self, epoch=state.epoch, tree_key=state.tree_key)

    def stepped(self, steps: int) -> TreeKeys:
        """The secret so many steps later."""
        secret = self.secret
        for _ in range(steps):
            secret = _expand(secret, b"treecast sender key step")
        return replace(self, step=self.step + steps, secret=secret)

    def header(self, counter: int, flags: int = 0) -> bytes:
        numbers = (self.step, self.root, self.stream, self.epoch, self.key_id, counter)
        return bytes((TREE, flags)) + struct.pack(">HIIIIQ", *numbers)

    def seal(self, counter: int, plaintext: bytes, flags: int = 0) -> bytes:
        """A tree datagram under this key, whoever sends it."""
        header = self.header(counter, flags)
        key = _expand(self.secret, b"treecast sender key aead")
        sealed = aead(self.aead, key).encrypt(nonce_of(header), plaintext, tree_associated(header))
        return header + sealed + tree_tag(self.tree_key, header + sealed[-_TAG:])

    def seal_signed(self, signing: Ed25519PrivateKey, counter: int, plaintext: bytes) -> bytes:
        """One of broadcast, whoever signs it."""
        signature = signing.sign(broadcast_signed(self.header(counter, SIGNED), plaintext))
        return self.seal(counter, plaintext + signature, SIGNED)

    def open(self, datagram: bytes) -> bytes:
        """The plaintext of a tree datagram of this key's step; InvalidTag."""
        header, ciphertext = datagram[:TREE_HEADER_LEN], datagram[TREE_HEADER_LEN:-TREE_TAG_LEN]
        key = _expand(self.secret, b"treecast sender key aead")
        return aead(self.aead, key).decrypt(nonce_of(header), ciphertext, tree_associated(header))


def tree_associated(header: bytes) -> bytes:
    """The header of a tree datagram without its epoch."""
    return header[:12] + header[16:]


def broadcast_signed(header: bytes, plaintext: bytes) -> bytes:
    """The bytes that the root of broadcast signs."""
    return b"treecast broadcast 1\0" + tree_associated(header) + hashlib.sha256(plaintext).digest()


def verified(signing_key: bytes, datagram: bytes, opened: bytes) -> bytes:
    """The plaintext without its signature; InvalidSignature where that is not the root's."""
    plaintext, signature = opened[:-SIGNATURE_LEN], opened[-SIGNATURE_LEN:]
    signed = broadcast_signed(datagram[:TREE_HEADER_LEN], plaintext)
    Ed25519PublicKey.from_public_bytes(signing_key).verify(signature, signed)
    return plaintext


def _expand(secret: bytes, info: bytes, length: int = 32) -> bytes:
    return HKDFExpand(hashes.SHA256(), length, info).derive(secret)


def anchor(root: int, stream: int, epoch: int, key_id: int, counter: int) -> bytes:
    return struct.pack(">IIIIQ", root, stream, epoch, key_id, counter)


def tree_tag(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4, little-endian."""
    mask = 2**64 - 1
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rotated(value: int, by: int) -> int:
        return (value << by | value >> 64 - by) & mask

    def rounds(count: int) -> None:
        for _ in range(count):
            v[0] = (v[0] + v[1]) & mask
            v[1] = rotated(v[1], 13) ^ v[0]
            v[0] = rotated(v[0], 32)
            v[2] = (v[2] + v[3]) & mask
            v[3] = rotated(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & mask
            v[3] = rotated(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & mask
            v[1] = rotated(v[1], 17) ^ v[2]
            v[2] = rotated(v[2], 32)

    last = len(data) - len(data) % 8
    end = data[last:].ljust(7, b"\0") + bytes((len(data) & 0xFF,))
    for (word,) in (*struct.iter_unpack("<Q", data[:last]), struct.unpack("<Q", end)):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])


# section 7: control messages and advertisements

FLOOD, ACKNOWLEDGE, DIGEST, KEY_ACKNOWLEDGEMENT, GOODBYE = range(1, 6)
ENCAPSULATION_KEY, CIPHERTEXT = 6, 7
TREE_ACKNOWLEDGEMENT = 9
TREE_QUERY, TREE_REPORT, TRACE_REQUEST, TRACED_TREE = range(13, 17)
NODE, GROUPS, HOST, LINKS, GROUP_PREFIX, REVOCATION = range(1, 7)


def encode(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def decode(data: bytes) -> list[object]:
    return msgspec.msgpack.decode(data, type=list)


def handshake_payload(
    certificate: bytes, which: int, epoch: int, clock: int, *, capabilities: int = 0, named: bytes = b""
) -> bytes:
    """``named``: the id of a link secret."""
    return encode([certificate, which, epoch, clock, 0, 1500, "speaker", PROTOCOL, PROTOCOL, capabilities, named])


def node_content(certificate: bytes, endpoint: tuple[bytes, int], instance: bytes, start: int, floor: int) -> bytes:
    return encode([certificate, [list(endpoint)], instance, start, b"", 1500, PROTOCOL, PROTOCOL, 0, floor])


def advertisement_body(origin: int, epoch: int, sequence: int, kind: int, key: bytes, content: bytes) -> bytes:
    return encode([origin, epoch, sequence, kind, key, content])


def advertisement_name(advertisement: bytes) -> list[object]:
    """Origin, epoch and sequence, by which it is acknowledged."""
    body = decode(advertisement)[0]
    if not isinstance(body, bytes):
        raise TypeError("no body")
    return decode(body)[:3]


def host_key(vlan: int, mac: bytes) -> bytes:
    return struct.pack(">H", vlan) + mac


def chunk_key(number: int) -> bytes:
    """The key of GROUPS."""
    return struct.pack(">H", number)
