from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench import history
from bench.report import Conditions, Measure, Results, Target, measure, progress, side_result, table, write
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
            measure("multicast to 8", "packets/s", rate, target=Target(2.7, 4.0, "vxlan")),
            measure("latency", "ns", latency, higher_is_better=False, target=Target(140e3, 110e3)),
        ),
    )


def shown(before: dict[str, float]) -> str:
    console = Console(width=200)
    with console.capture() as text:
        console.print(table(results(), before))
    return text.get()


def test_ratios_are_of_medians_to_each_other_side() -> None:
    rate, latency = results().measures
    assert rate.ratios == {"vxlan": 3.0}
    assert latency.ratios == {"vxlan": 2.5}


def test_a_side_that_was_not_measured_or_is_nothing_has_no_ratio() -> None:
    assert measure("multicast", "packets/s", {"treecast": side_result([1.0])}).ratios == {}
    nothing = {"vxlan": side_result([0.0]), "treecast": side_result([1.0])}
    assert measure("multicast", "packets/s", nothing).ratios == {}


@pytest.mark.parametrize(("value", "reached"), [(1.9, "missed"), (2.0, "must"), (2.4, "must"), (2.5, "aim")])
def test_a_ratio_reaches_its_aim_or_what_it_must_or_misses(value: float, reached: str) -> None:
    sides = {"vxlan": side_result([1.0]), "treecast": side_result([value])}
    own = measure("multicast", "packets/s", sides, target=Target(2.0, 2.5, "vxlan"))
    assert (own.reached("vxlan"), own.reached(""), own.reached("raw")) == (reached, "", "")


@pytest.mark.parametrize(("value", "reached"), [(160.0, "missed"), (150.0, "must"), (110.0, "aim")])
def test_of_a_value_less_may_be_better(value: float, reached: str) -> None:
    sides = {"raw": side_result([40.0]), "treecast": side_result([value])}
    own: Measure = measure("latency", "ns", sides, higher_is_better=False, target=Target(150.0, 110.0))
    assert (own.reached(""), own.reached("raw")) == (reached, "")


def test_the_file_has_all_runs_and_trials(tmp_path: Path) -> None:
    write(results(), tmp_path / "bench" / "results.json")
    assert msgspec.json.decode((tmp_path / "bench" / "results.json").read_bytes(), type=Results) == results()


def test_the_table_shows_medians_extremes_ratios_and_what_was_asked() -> None:
    text = shown({"multicast to 8 / vxlan": 2.5, "latency": 170e3})
    rate, latency = (next(line for line in text.splitlines() if word in line) for word in ("multicast", "latency"))
    assert [cell.strip() for cell in rate.split("│")[2:-1]] == [
        "66.0 (60.0 - 70.0)", "vxlan 22.0 (20.0 - 24.0)", "3.00 x", "2.50 x", "2.7 x", "4 x", "must",
    ]  # fmt: skip
    assert "(us, lower is better)" in latency
    assert [cell.strip() for cell in latency.split("│")[2:-1]] == ["150", "", "", "170", "140", "110", "missed"]


def test_the_history_grows_by_a_line_a_run_and_is_drawn(tmp_path: Path) -> None:
    path, picture = tmp_path / "history.jsonl", tmp_path / "out" / "results.png"
    history.append(results(), path)
    history.append(results(), path)
    first, second = history.read(path)
    assert first == second
    assert first.values == progress(results())
    assert first.values["multicast to 8 / vxlan"] == 3.0
    history.plot(results(), [first, second], picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
