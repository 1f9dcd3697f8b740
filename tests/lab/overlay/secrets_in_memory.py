"""Secrets that a process draws from the system, and whether another process has them in its memory."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

SECRET_BYTES = 32
CHUNK_BYTES = 1 << 22
STEPS = 5
"""Steps of a sender key that are looked for: one for each 10 s that a test may take (docs/protocol.md section 6)."""
_DRAWN = re.compile(r'getrandom\("((?:\\x[0-9a-f]{2})+)", (\d+)[^)]*\) *= *(\d+)')


def tracing(log: Path) -> tuple[str, ...]:
    """The command before a program that has it write down what it draws (strace(1))."""
    return ("strace", "-D", "-f", "--seccomp-bpf", "-e", "trace=getrandom", "-xx", "-s", "64", "-o", str(log))


def drawn(log: Path) -> list[bytes]:
    """The secrets of 32 bytes that the traced program has drawn so far, in order."""
    found = _DRAWN.findall(log.read_text(encoding="ascii"))
    drawn_whole = (text for text, wanted, got in found if wanted == got == str(SECRET_BYTES))
    return [bytes.fromhex(text.replace("\\x", "")) for text in drawn_whole]


def expand(secret: bytes, info: bytes) -> bytes:
    """HKDF-Expand with SHA-256 to 32 bytes (RFC 5869 section 2.3)."""
    return hmac.digest(secret, info + b"\x01", sha256)


def forms(secret: bytes) -> list[bytes]:
    """All that a sender key that begins with this secret comes to: the secret of each step, and its AEAD key."""
    found: list[bytes] = []
    for _ in range(STEPS):
        found += [secret, expand(secret, b"treecast sender key aead")]
        secret = expand(secret, b"treecast sender key step")
    return found


def held(pid: int, secrets: Sequence[bytes]) -> set[bytes]:
    """The secrets of which a process has any form in its memory: all of it that can be read."""
    wanted = [(secret, form) for secret in secrets for form in forms(secret)]
    found: set[bytes] = set()
    for memory in readable(pid):
        found |= {secret for secret, form in wanted if secret not in found and form in memory}
    return found


def readable(pid: int) -> Iterable[bytes]:
    """All readable maps of a process, in pieces that overlap by what a secret is long."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("r") or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue  # the kernel's clocks, which are no process's memory
            start, end = (int(part, 16) for part in span.split("-"))
            for at in range(start, end, CHUNK_BYTES):
                memory.seek(at)
                piece = memory.read(min(CHUNK_BYTES + SECRET_BYTES, end - at))
                if not piece:
                    break
                if any(piece):
                    yield piece
