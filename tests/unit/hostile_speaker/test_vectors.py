"""The hostile speaker makes each byte of docs/vectors.json by itself: what it sends is what the document says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.noise import NoiseHandshake

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[3] / "docs/vectors.json").read_text())
HANDSHAKE = VECTORS["handshake"]


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def side(name: str) -> NoiseHandshake:
    return NoiseHandshake(
        initiator=name == "initiator",
        prologue=wire.prologue(raw(HANDSHAKE["network_id"])),
        psk=raw(HANDSHAKE["network_key"]),
        static=raw(HANDSHAKE[name]["static_private"]),
        ephemeral=raw(HANDSHAKE[name]["ephemeral_private"]),
    )


def finished(head: bytes) -> bytes:
    return head + wire.handshake_mac(raw(HANDSHAKE["network_key"]), head)


def test_the_handshake_its_keys_and_the_refusal() -> None:
    one, two = side("initiator"), side("responder")
    initiator, responder = (HANDSHAKE[name]["index"] for name in ("initiator", "responder"))
    first = one.write_1(bytes(wire.PAYLOAD_LENS[wire.INIT]))
    init = finished(wire.handshake_header(wire.INIT, initiator) + first) + bytes(wire.MAC_LEN)
    assert init == raw(HANDSHAKE["init"])
    assert two.read_1(first) == bytes(wire.PAYLOAD_LENS[wire.INIT])

    payload = raw(HANDSHAKE["responder"]["payload"])
    second = two.write_2(wire.padded(wire.RESPONSE, payload))
    response = finished(wire.handshake_header(wire.RESPONSE, responder, initiator) + second)
    assert response == raw(HANDSHAKE["response"])
    assert wire.unpadded(one.read_2(second)) == payload
    assert one.remote_static == raw(HANDSHAKE["responder"]["static_public"])

    own = HANDSHAKE["initiator"]
    third = one.write_3(wire.padded(wire.FINAL, raw(own["payload"]), raw(own["final_nonce"])))
    assert finished(wire.handshake_header(wire.FINAL, responder) + third) == raw(HANDSHAKE["final"])
    assert wire.unpadded(two.read_3(third)) == raw(HANDSHAKE["initiator"]["payload"])
    assert one.split() == two.split()
    keys = [wire.session_key(one.hash, one.split()[last], initiator, responder, last) for last in (0, 1)]
    assert keys == [raw(HANDSHAKE["key_initiator_to_responder"]), raw(HANDSHAKE["key_responder_to_initiator"])]
    given = VECTORS["link_secret"]
    secret = wire.LinkSecret.of(*(raw(given[name]) for name in ("shared_secret", "encapsulation_key", "ciphertext")))
    assert secret.id == raw(given["id"])
    hybrid = [
        wire.session_key(one.hash, one.split()[last], initiator, responder, last, secret.secret) for last in (0, 1)
    ]
    assert hybrid == [raw(given["key_initiator_to_responder"]), raw(given["key_responder_to_initiator"])]
    refusal = raw(HANDSHAKE["refusal"]["datagram"])
    key = wire.session_key(one.hash, one.split()[1], initiator, responder, 2)
    opened = wire.aead(wire.CHACHA20, key).decrypt(bytes(12), refusal[8 : -wire.MAC_LEN], refusal[:8])
    assert (opened, finished(refusal[: -wire.MAC_LEN])) == (raw(HANDSHAKE["refusal"]["payload"]), refusal)


def test_session_datagrams_and_frames_in_parts() -> None:
    for vector in (*VECTORS["session_datagrams"], *VECTORS["fragments"]["parts"], VECTORS["wrapped_broadcast"]):
        body = raw(vector["body"])
        partial = vector["csum_start"] is not None
        checksum = (1, vector["csum_start"], vector["csum_offset"]) if partial else (0, 0, 0)
        plaintext = wire.inner(vector["kind"], body, *checksum)
        which, key = vector["aead"], raw(vector["key"])
        made = wire.session_datagram(which, key, vector["receiver_index"], vector["counter"], plaintext)
        assert made == raw(vector["datagram"])
        assert wire.open_session_datagram(which, key, made) == plaintext
    cut, frame = VECTORS["fragments"], raw(VECTORS["fragments"]["frame"])
    half = -(-len(frame) // 2)
    parts = [wire.fragment(cut["id"], n, 2, len(frame), frame[n * half : (n + 1) * half]) for n in range(2)]
    assert parts == [raw(vector["body"]) for vector in cut["parts"]]


def test_tree_datagrams_offers_steps_and_tags() -> None:
    vector = VECTORS["tree_datagram"]
    state = wire.TreeState.parse(vector["root"], raw(vector["tree_state"]))
    assert state.emit() == raw(vector["tree_state"])
    assert (state.epoch, state.backup, list(state.children)) == (vector["epoch"], vector["backup"], vector["children"])
    assert list(state.backup_children) == vector["backup_children"]
    assert wire.mark(state.root, state.stream, state.epoch, 1) == raw(vector["graft"])
    keys = wire.TreeKeys.parse(vector["root"], raw(vector["offer"])).on(state)
    assert keys.emit() == raw(vector["offer"])
    assert (keys.tree_key, keys.secret) == (raw(vector["tree_key"]), raw(vector["sender_key"]))
    plaintext = wire.inner(wire.FRAME, raw(vector["body"]))
    assert keys.seal(vector["counter"], plaintext) == raw(vector["datagram"])
    assert keys.open(raw(vector["datagram"])) == plaintext
    later, at = keys.stepped(2), vector["at_step_2"]
    assert later.seal(at["counter"], plaintext) == raw(at["datagram"])
    assert replace(later, first_counter=at["counter"] + 1).emit() == raw(at["offer"])
    tag = VECTORS["tree_tag"]
    whole = raw(tag["without_tree_tag"])
    covered = whole[: wire.TREE_HEADER_LEN] + whole[-16:]
    assert wire.tree_tag(raw(tag["tree_key"]), covered) == raw(tag["tree_tag"])


def test_broadcast_is_signed() -> None:
    vector = VECTORS["broadcast_datagram"]
    state = wire.TreeState.parse(vector["root"], raw(vector["tree_state"]))
    keys = wire.TreeKeys.parse(vector["root"], raw(vector["offer"])).on(state)
    signing = Ed25519PrivateKey.from_private_bytes(raw(vector["signing_seed"]))
    plaintext, datagram = wire.inner(wire.FRAME, raw(vector["body"])), raw(vector["datagram"])
    assert keys.seal_signed(signing, vector["counter"], plaintext) == datagram
    assert wire.verified(signing.public_key().public_bytes_raw(), datagram, keys.open(datagram)) == plaintext
    with pytest.raises(InvalidSignature):
        wire.verified(bytes(32), datagram, keys.open(datagram))
    wrapped = VECTORS["wrapped_broadcast"]
    assert (wrapped["kind"], raw(wrapped["body"])) == (wire.BROADCAST, datagram)
    at = vector["at_step_2"]
    assert keys.stepped(2).seal_signed(signing, at["counter"], plaintext) == raw(at["datagram"])


def test_macs_of_handshakes() -> None:
    vector = VECTORS["handshake_mac"]
    assert wire.handshake_mac(raw(vector["network_key"]), raw(vector["bytes"])) == raw(vector["mac"])
