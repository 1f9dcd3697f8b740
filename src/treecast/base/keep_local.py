"""Frames that stay on a LAN though other LANs are bridged to it: those by which it configures its own hosts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Word = Literal["ra", "dhcp"]
WORDS: tuple[Word, ...] = ("ra", "dhcp")


class KeepLocal(Struct, frozen=True, array_like=True):
    """``ra``: IPv6 router advertisements, solicitations and redirects; ``dhcp``: DHCP and DHCPv6 between clients and
    servers. Kept, they neither leave the LAN for the overlay nor come to it from there.
    """

    ra: bool
    dhcp: bool

    @classmethod
    def of(cls, words: Iterable[str]) -> KeepLocal:
        """The value from some of ``WORDS``; ValueError for another."""
        kept = set(words)
        if not kept <= set(WORDS):
            raise ValueError(f"not all of {sorted(kept)} are among {WORDS}")
        return cls("ra" in kept, "dhcp" in kept)

    def words(self) -> tuple[Word, ...]:
        return tuple(word for word, kept in zip(WORDS, (self.ra, self.dhcp), strict=True) if kept)


KEEP_ALL = KeepLocal(ra=True, dhcp=True)
"""The default of a bridged LAN: two sites' routers on one LAN give its hosts both prefixes and the wrong way out."""

KEEP_NOTHING = KeepLocal(ra=False, dhcp=False)
"""The default of a node's own interface."""
