"""Records as one readable line: what ``str`` of a record of this package is made of, for traces and logs.

A line has at most MAX_LINE characters: lists are shortened by ``listed``, and ``line`` cuts what is still too long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from treecast.base.addresses import packed_to_address

T = TypeVar("T")

MAX_LINE = 200
SHOWN_BYTES = 8
SHOWN_CHARACTERS = 40


def line(*parts: str) -> str:
    """The parts that are not empty, with spaces between."""
    return shortened(" ".join(part for part in parts if part), MAX_LINE)


def listed(items: Sequence[T], limit: int = 90, show: Callable[[T], str] = str) -> str:
    """The first items, as many as fit in ``limit`` characters and at least one, then "and 37 more"."""
    shown: list[str] = []
    used = 0
    for item in items:
        text = show(item)
        used += len(text) + 2
        if shown and used > limit:
            break
        shown.append(text)
    more = len(items) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def shortened(text: str, limit: int) -> str:
    """The text, with "..." for its end where it is longer."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def quoted(text: str | bytes) -> str:
    """Text of others, in quotation marks and on one line, whatever is in it."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() and c != '"' else f"\\x{ord(c):02x}" for c in text[: SHOWN_CHARACTERS + 1])
    return f'"{shortened(shown, SHOWN_CHARACTERS)}"'


def hexadecimal(data: bytes) -> str:
    """The first bytes, as digits."""
    return shortened(data.hex(), 2 * SHOWN_BYTES + 3) if data else "nothing"


def address(packed: bytes) -> str:
    """An IP address of 4 or 16 bytes; other bytes as digits."""
    return str(packed_to_address(packed)) if len(packed) in (4, 16) else hexadecimal(packed)


def sources(mode: str, addresses: Iterable[object], limit: int = 60) -> str:
    """A source filter: ``INCLUDE{10.0.0.1}``."""
    return f"{mode}{{{listed(tuple(addresses), limit)}}}"


def in_vlan(vlan: int | None) -> str:
    """``vlan 7``; nothing when untagged."""
    return f"vlan {vlan}" if vlan else ""


def octets(data: bytes) -> str:
    """``46 bytes``."""
    return f"{len(data):,} byte{'' if len(data) == 1 else 's'}"
