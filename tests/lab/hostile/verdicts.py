"""Why a datagram that is not genuine must be refused, from docs/protocol.md alone: the test's own reading of it."""

from __future__ import annotations

from tests.lab.overlay.captured import FINAL, INIT, RESPONSE, SESSION, TREE

REFUSAL = 0xC3
COOKIE = 0xC6

HANDSHAKE_LENGTH = 1136
SEALED_MAX = 8952
SHORTEST = {
    INIT: HANDSHAKE_LENGTH,
    RESPONSE: HANDSHAKE_LENGTH,
    FINAL: HANDSHAKE_LENGTH,
    REFUSAL: 8 + 16 + 16,
    COOKIE: 56,
    SESSION: 36,
    TREE: 56,
}


def of_form(datagram: bytes) -> str | None:
    """Refused for its form: type, length, version, reserved bytes, broadcast by itself. None: its form is right."""
    kind = datagram[0] if datagram else -1
    if kind not in SHORTEST:
        return "unknown_type"
    if len(datagram) > (SEALED_MAX if kind in (SESSION, TREE) else HANDSHAKE_LENGTH):
        return "datagram_long"
    if len(datagram) < SHORTEST[kind]:
        return "datagram_short"
    if kind == SESSION:
        return "flags_unknown" if datagram[1:4] != bytes(3) else None
    if kind == TREE:  # a step stands behind the flags, of which there is one
        if datagram[1] & ~1:
            return "flags_unknown"
        return None if any(datagram[8:12]) else "tree_unwrapped"
    return "handshake_version" if datagram[1:4] != b"\x02\0\0" else None


def of_noise(datagram: bytes) -> str:
    """The verdict of random bytes: no session, no tree and no MAC is hit by chance."""
    form = of_form(datagram)
    if form is not None:
        return form
    return {SESSION: "session_unknown", TREE: "tree_unknown"}.get(datagram[0], "handshake_mac")


def of_altered(datagram: bytes, genuine: bytes) -> str:
    """The verdict of a genuine datagram to the same node that was cut off or had bits flipped."""
    form = of_form(datagram)
    if form is not None:
        return form
    if datagram[0] not in (SESSION, TREE):
        return "handshake_mac"
    if datagram[0] != genuine[0]:
        return of_noise(datagram)
    if datagram[0] == SESSION:
        return "session_unknown" if datagram[4:8] != genuine[4:8] else "session_auth"
    if datagram[4:16] != genuine[4:16]:
        return "tree_unknown"
    only_ciphertext = (datagram[:28], datagram[-24:]) == (genuine[:28], genuine[-24:])
    return "tree_auth" if only_ciphertext else "tree_tag"
