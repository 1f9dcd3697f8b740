"""Rates as ``tc`` writes them (tc(8), UNITS): ``20mbit`` is 20,000,000 bits a second, ``2mbps`` as many bytes of it."""

from __future__ import annotations

import re

from treecast.base.errors import OptionError
from treecast.base.limits import MAX_TREE_CHILDREN
from treecast.base.relaying import Relaying

LOWEST_UPLINK_BPS = 100_000
HIGHEST_UPLINK_BPS = 100_000_000_000

_RATE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([kmgt]i?)?(bit|bps)?", re.ASCII | re.IGNORECASE)
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def rate_bps(text: str) -> int:
    """Bits per second. OptionError for what is no rate."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise OptionError(f"{text!r} is no rate: give one as tc writes it, like 20mbit or 1gbit")
    number, prefix, unit = match.groups(default="")
    return round(float(number) * _PREFIXES[prefix.lower()] * (8 if unit.lower() == "bps" else 1))


def uplink(text: str) -> int:
    """Bits per second. OptionError for what is no rate, and for one that no uplink has."""
    bits_per_second = rate_bps(text)
    if not LOWEST_UPLINK_BPS <= bits_per_second <= HIGHEST_UPLINK_BPS:
        raise OptionError(f"--uplink {text} is {bits_per_second:,} bit/s: give a rate from 100kbit to 100gbit")
    return bits_per_second


def relaying(uplink_text: str | None, max_children: int | None, *, no_relay: bool) -> Relaying:
    """``--uplink``, ``--max-children`` and ``--no-relay``."""
    if max_children is not None and not 1 <= max_children <= MAX_TREE_CHILDREN:
        wanted = "; --no-relay is for none of other nodes' trees" if max_children == 0 else ""
        raise OptionError(f"--max-children {max_children}: give a number from 1 to {MAX_TREE_CHILDREN}{wanted}")
    return Relaying(not no_relay, None if uplink_text is None else uplink(uplink_text), max_children)
