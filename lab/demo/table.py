"""The live table and the verdict, for people."""

from __future__ import annotations

from dataclasses import dataclass

from rich.box import SIMPLE
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One node now."""

    node: str
    role: str
    subscribed: bool
    sent: int
    received: int
    lost: int
    underlay_rx_bytes: int
    underlay_tx_bytes: int


def table(rows: list[Row], elapsed_s: float, total_s: int) -> Table:
    title = f"IP multicast 239.1.1.1:5004 over the overlay, {elapsed_s:.0f} of {total_s} s"
    made = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1))
    for heading in ("node", "role", "subscribed"):
        made.add_column(heading, no_wrap=True)
    for heading in ("packets", "loss", "bytes in", "bytes out"):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            row.node,
            row.role,
            "yes" if row.subscribed else "no",
            f"{row.sent:,} out" if row.sent else f"{row.received:,} in",
            f"{row.lost:,}" if row.received else "-",
            f"{row.underlay_rx_bytes:,}",
            f"{row.underlay_tx_bytes:,}",
        )
    return made
