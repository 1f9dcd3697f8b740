"""Rates as people read them."""

from __future__ import annotations


def in_rate(bits_per_second: float) -> str:
    """Three or four digits and a decimal unit."""
    if bits_per_second < 1000:
        return f"{bits_per_second:.0f} b/s"
    value, unit = bits_per_second / 1000, "kb/s"
    for larger in ("Mb/s", "Gb/s", "Tb/s"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}"


def in_bytes(count: int) -> str:
    """``count`` bytes with three or four digits and a decimal unit."""
    if count < 1000:
        return f"{count} B"
    value, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB", "PB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}"
