"""Programs of a machine: where one waits that says nothing."""

from __future__ import annotations

from lab import Lab, wait_until


def test_a_program_that_says_nothing_is_found_where_it_waits(lab: Lab) -> None:
    process = lab.machine("n0", lab.switch()).spawn(["sleep", "60"])
    wait_until(lambda: process.kernel_waits() == ["hrtimer_nanosleep"], 5.0, "it sleeps")
    process.kill()
    assert process.kernel_waits() == []
