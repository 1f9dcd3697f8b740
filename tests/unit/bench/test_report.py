from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from bench.report import Conditions, Results, measure, side_result, table, write
from bench.search import Trial

CONDITIONS = Conditions(
    "2030-01-01", "6.18", "a processor", 2, "3.11", 1200, 0.001, 1.5, 3, {"vxlan": "", "treecast": ""}
)
TRIALS = ((Trial(None, 1000, 1000, 1000, 0),),)


def results() -> Results:
    rate = {"vxlan": side_result([20e3, 22e3, 24e3], TRIALS), "treecast": side_result([66e3, 60e3, 70e3])}
    latency = {"vxlan": side_result([60e3]), "treecast": side_result([150e3])}
    return Results(
        CONDITIONS,
        (
            measure("multicast to 8", "packets/s", rate, reference="vxlan"),
            measure("latency", "ns", latency, reference="vxlan", higher_is_better=False),
        ),
    )


def test_ratios_are_of_medians_to_the_reference() -> None:
    rate, latency = results().measures
    assert rate.ratios == {"treecast": 3.0}
    assert latency.ratios == {"treecast": 2.5}


def test_a_reference_that_was_not_measured_has_no_ratio() -> None:
    alone = {"treecast": side_result([1.0])}
    assert measure("multicast", "packets/s", alone, reference="vxlan").ratios == {}


def test_the_file_has_all_runs_and_trials(tmp_path: Path) -> None:
    write(results(), tmp_path / "bench" / "results.json")
    assert msgspec.json.decode((tmp_path / "bench" / "results.json").read_bytes(), type=Results) == results()


def test_the_table_shows_medians_extremes_and_ratios() -> None:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table(results()))
    text = shown.get()
    assert "22.0 (20.0 - 24.0)" in text
    assert "3.00 x" in text
    assert "latency (us, lower is better)" in text
