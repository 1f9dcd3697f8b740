"""Tables and plot of what networks cost by size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table

from bench.simulate.run import Figures
from bench.simulate.spreading import Dissemination

ROWS: Sequence[tuple[str, Callable[[Figures], float | None]]] = (
    ("start: all linked after, virtual s", lambda own: own.start_s),
    ("start: CPU of all engines, s", lambda own: own.start_cpu_s),
    ("start: busiest node-second, ms", lambda own: own.start_busiest_node_second_ms),
    ("idle: CPU per node, ms/s", lambda own: own.idle_cpu_ms_per_node_s),
    ("idle: busiest node-second, ms", lambda own: own.idle_busiest_node_second_ms),
    ("idle: control per node, kbit/s", lambda own: own.idle_control_kbit_s),
    ("idle: probes per node, kbit/s", lambda own: own.idle_probe_kbit_s),
    ("memory per node, kB", lambda own: own.memory_kb_per_node),
    ("join: all nodes know after, virtual s", lambda own: own.join_reached_s),
    ("join: control datagrams in all", lambda own: own.join_messages),
    ("join: control bytes in all, kB", lambda own: own.join_kbytes),
    ("join: CPU of all engines, s", lambda own: own.join_cpu_s),
    ("death: no link left after, virtual s", lambda own: own.death_gone_s),
    ("death: control datagrams in all", lambda own: own.death_messages),
    ("death: control bytes in all, kB", lambda own: own.death_kbytes),
    ("death: CPU of all engines, s", lambda own: own.death_cpu_s),
    ("wall clock, s", lambda own: own.wall_s),
)
PLOTTED = (3, 5, 7, 2)


def table(figures: Sequence[Figures]) -> Table:
    made = Table("cost of a network of real engines", *(f"{own.nodes:,} nodes" for own in figures))
    for name, value in ROWS:
        made.add_row(name, *(_cell(value(own)) for own in figures))
    return made


def spreading_table(disseminations: Sequence[Dissemination]) -> Table:
    columns = ("nodes", "links a node", "messages a node", "99 % reached, ms")
    made = Table("one advertisement, 2 % loss, no engines", *columns)
    for one in disseminations:
        made.add_row(
            one.name, f"{one.nodes:,}", _cell(one.degree), _cell(one.messages_per_node), _cell(one.reached_99_ms)
        )
    return made


def plot(figures: Sequence[Figures], path: Path) -> None:
    """A panel for each of the costs that grow."""
    figure = Figure(figsize=(14, 8), layout="constrained")
    for panel, row in zip(figure.subplots(2, 2).flat, PLOTTED, strict=True):
        name, value = ROWS[row]
        points = [(own.nodes, measured) for own in figures if (measured := value(own)) is not None]
        panel.plot([nodes for nodes, _ in points], [measured for _, measured in points], marker="o", color="#4c78a8")
        panel.set_title(name)
        panel.set_xlabel("nodes")
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
