"""The works that are measured, in one lab with all sides up: what is asked of each, and how its runs alternate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from rich.console import Console

from bench import cost, measure, report, solicitations
from bench.report import OWN, Measure, Target
from bench.search import Found
from bench.sides import Raw, Side, Treecast, Vxlan
from lab.load import Latency
from lab.machine import Machine

SUBSCRIBERS = (1, 4, 8, 16)
LATENCY_SUBSCRIBERS = 8
RATIOS = {1: Target(2.0, 2.5, Vxlan.name), 8: Target(2.7, 4.0, Vxlan.name), 16: Target(2.4, 3.0, Vxlan.name)}
WITHOUT_OFFLOAD = Target(1.1, 1.5, Vxlan.name)
SMALL_STREAM = Target(0.02, 0.01)
LATENCY = {"median": Target(150e3, 110e3), "p99": Target(280e3, 200e3)}
TCP = Target(0.45, 0.55, Raw.name)
TCP_OVER_OTHERS = (5.0, 7.0)  # times the best of them

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How often and how long."""

    runs: int
    trial_s: float
    first_trials: int
    further_trials: int
    tcp_s: int
    latency_s: float
    idle_s: float
    joins: int


FULL = Plan(runs=3, trial_s=1.5, first_trials=12, further_trials=8, tcp_s=3, latency_s=3.0, idle_s=20.0, joins=20)
QUICK = Plan(runs=1, trial_s=1.0, first_trials=6, further_trials=0, tcp_s=2, latency_s=1.5, idle_s=5.0, joins=5)


class Works:
    """``machines``: the source and as many subscribers as the largest work wants. ``others``: for TCP only."""

    def __init__(
        self,
        console: Console,
        plan: Plan,
        machines: Sequence[Machine],
        treecast: Treecast,
        vxlan: Vxlan,
        others: Sequence[Side],
    ) -> None:
        self._console = console
        self._plan = plan
        self._machines = machines
        self._treecast = treecast
        self._raw = Raw()
        self._both: tuple[Side, ...] = (vxlan, treecast)
        self._others = others
        self._all: tuple[Side, ...] = (self._raw, vxlan, *others, treecast)

    def measures(self) -> Iterator[Measure]:
        """One after the other, as they are measured."""
        yield from self._tcp()
        rates = {}
        for subscribers in SUBSCRIBERS:
            own = self._multicast(subscribers, f"multicast to {subscribers}, each", RATIOS.get(subscribers))
            rates[subscribers] = own.sides[OWN].median
            yield own
        yield self._without_offload()
        yield from self._costs(rates[8])
        yield self._fan_out(rates[16])
        self._stop_others()
        yield from self._small_stream("evenly paced", 1)
        yield from self._small_stream("25 pictures a second", cost.PICTURE)
        yield from self._latency()
        yield self._recent_solicitations(True)
        yield self._recent_solicitations(False)

    def _tcp(self) -> Iterator[Measure]:
        client, server = self._machines[:2]
        runs = self._alternate(
            "TCP", self._all, lambda side, _: measure.tcp_bps(side, client, server, self._plan.tcp_s)
        )
        results = {side: report.side_result(values) for side, values in runs.items()}
        for other in self._others:
            other.stop()
        names = {other.name for other in self._others}
        kernel = {side: own for side, own in results.items() if side not in names}
        yield report.measure("unicast, one TCP flow", "bit/s", kernel, target=TCP)
        others = {side: own for side, own in results.items() if side in names}
        if others:
            best = max(others, key=lambda side: others[side].median)
            target = Target(*TCP_OVER_OTHERS, best)
            name = "the same beside user-space overlays"
            yield report.measure(name, "bit/s", {**others, OWN: results[OWN]}, target=target)

    def _multicast(self, subscribers: int, name: str, target: Target | None) -> Measure:
        machines = self._machines[: 1 + subscribers]

        def run(side: Side, before: Sequence[Found]) -> Found:
            guess_pps = before[-1].pps if before and before[-1].pps else None
            trials = self._plan.further_trials if guess_pps else self._plan.first_trials
            return measure.multicast_rate(side, machines, guess_pps, self._plan.trial_s, trials)

        runs = self._alternate(name, self._both, run)
        sides = {
            side: report.side_result([own.pps for own in found], [own.trials for own in found])
            for side, found in runs.items()
        }
        return report.measure(name, "packets/s", sides, target=target)

    def _without_offload(self) -> Measure:
        """No GSO, no GRO on the underlay's interfaces: as through a network card that has none."""
        for machine in self._machines:
            machine.offload(False)
        try:
            return self._multicast(8, "multicast to 8, each, no offload on the underlay", WITHOUT_OFFLOAD)
        finally:
            for machine in self._machines:
                machine.offload(True)

    def _costs(self, rate_pps: float) -> Iterator[Measure]:
        """Costs at the highest rate, and at half of it, where batches are smaller."""
        for share, where, nodes, source in (
            (1.0, "", Target(0.25, 0.18), Target(0.085, 0.06)),
            (0.5, ", at half the rate", None, None),
        ):
            runs = self._stream_costs(8, rate_pps * share)
            for name, spent, target in (
                ("all nodes", [own.all_s / own.delivered_gbit for own in runs], nodes),
                ("source's node", [own.source_s / own.delivered_gbit for own in runs], source),
            ):
                what = f"processor time of {name} per Gbit delivered, to 8{where}"
                sides = {OWN: report.side_result(spent)}
                yield report.measure(what, "CPU s/Gbit", sides, higher_is_better=False, target=target)

    def _fan_out(self, rate_pps: float) -> Measure:
        """The same rate to many and to one: what the source's node spends for a packet."""
        many, one = (self._stream_costs(subscribers, rate_pps) for subscribers in (16, 1))
        sides = {OWN: many, "to 1": one}
        results = {side: report.side_result([own.source_s / own.sent for own in runs]) for side, runs in sides.items()}
        name = "source's node per packet to 16, beside one subscriber at the same rate"
        return report.measure(name, "CPU s/packet", results, higher_is_better=False, target=Target(3.0, 2.0, "to 1"))

    def _stop_others(self) -> None:
        """Stops all nodes but the source's and those of eight subscribers."""
        for machine in self._machines[9:]:
            self._treecast.node(machine).stop()

    def _stream_costs(self, subscribers: int, rate_pps: float) -> list[cost.Cost]:
        machines, rate = self._machines[: 1 + subscribers], max(round(rate_pps), 1)
        what = f"cost to {subscribers}"
        return self._own(what, lambda: cost.stream_cost(self._treecast, machines, rate, self._plan.tcp_s))

    def _small_stream(self, how: str, together: int) -> Iterator[Measure]:
        """VXLAN copies in the sending program's own time: so both are looked at together, too."""
        machines = self._machines[:9]

        def run(side: Side, _: Sequence[cost.Shares]) -> cost.Shares:
            return cost.small_stream(side, machines, self._plan.latency_s, together)

        runs = self._alternate(f"8 Mb/s to 8, {how}", self._both, run)
        name = f"8 Mb/s stream to 8, {how}, source's node"
        node = {OWN: report.side_result([own.node for own in runs[OWN]])}
        yield report.measure(name, "core", node, higher_is_better=False, target=SMALL_STREAM)
        both = {side: report.side_result([own.node + own.program for own in of]) for side, of in runs.items()}
        yield report.measure(f"{name} and sending program", "core", both, higher_is_better=False)

    def _latency(self) -> Iterator[Measure]:
        machines = self._machines[: 1 + LATENCY_SUBSCRIBERS]

        def run(side: Side, _: Sequence[Latency]) -> Latency:
            if side is self._raw:
                return measure.unicast_latency(side, machines, self._plan.latency_s)
            return measure.multicast_latency(side, machines, self._plan.latency_s)

        runs = self._alternate("latency", (self._raw, *self._both), run)
        pick: dict[str, Callable[[Latency], int]] = {"median": lambda own: own.median_ns, "p99": lambda own: own.p99_ns}
        for name, value in pick.items():
            sides = {side: report.side_result([value(own) for own in latencies]) for side, latencies in runs.items()}
            what = f"one-way latency, {measure.LATENCY_RATE_PPS} packets/s to {LATENCY_SUBSCRIBERS} (raw: to 1), {name}"
            yield report.measure(what, "ns", sides, higher_is_better=False, target=LATENCY[name])

    def _recent_solicitations(self, known: bool) -> Measure:
        machines = self._machines[:9]
        what = f"frames across the overlay per ARP request, {'known' if known else 'unknown'} host"
        runs = self._alternate(
            what, self._both, lambda side, _: solicitations.crossings_per_request(side, machines, known=known)
        )
        sides = {side: report.side_result(values) for side, values in runs.items()}
        return report.measure(what, "frames", sides, higher_is_better=False)

    def _alternate(self, what: str, sides: Sequence[Side], run: Callable[[Side, Sequence[T]], T]) -> dict[str, list[T]]:
        """Each run measures all sides, every second one in opposite order; ``run`` sees its side's values so far."""
        values: dict[str, list[T]] = {side.name: [] for side in sides}
        for number in range(self._plan.runs):
            for side in sides if number % 2 == 0 else reversed(sides):
                self._console.print(f"[dim]{what}: {side.name}, run {number + 1} of {self._plan.runs}[/dim]")
                values[side.name].append(run(side, values[side.name]))
        return values

    def _own(self, what: str, run: Callable[[], T]) -> list[T]:
        """A work of Treecast alone."""
        return list(chain.from_iterable(self._alternate(what, (self._treecast,), lambda _, __: run()).values()))
