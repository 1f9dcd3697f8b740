"""IPv6 of the node's interface: its own switch, and that of new interfaces, which is the operator's wish for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from treecast.adapters import sysfs
from treecast.base.time import Instant
from treecast.daemon.own_interface import OwnIPv6

INTERFACE = "lo"
"""Any that is there."""


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sysfs, "_IPV6_CONF", tmp_path)
    return tmp_path


def switch(conf: Path, name: str, *, off: bool) -> None:
    (conf / name).mkdir(exist_ok=True)
    (conf / name / "disable_ipv6").write_text(f"{int(off)}\n")


def started(conf: Path, *, own_off: bool, default_off: bool, stays: bool = False) -> OwnIPv6:
    switch(conf, INTERFACE, off=own_off)
    switch(conf, "default", off=default_off)
    return OwnIPv6(INTERFACE, system=True, stays=stays)


def said_at_start(ipv6: OwnIPv6) -> list[str]:
    with capture_logs() as lines:
        ipv6.report(structlog.get_logger())
    return [line["event"] for line in lines]


def texts(ipv6: OwnIPv6) -> list[str]:
    return [problem.text for problem in ipv6.problems(Instant(0.0))]


@pytest.mark.parametrize(
    ("own_off", "default_off", "is_on"),
    [(False, False, True), (False, True, True), (True, False, True), (True, True, False)],
)
def test_the_interface_goes_without_where_it_is_off_as_on_new_ones(
    conf: Path, *, own_off: bool, default_off: bool, is_on: bool
) -> None:
    assert started(conf, own_off=own_off, default_off=default_off).is_on is is_on


def test_a_system_without_ipv6_has_none_whatever_the_switches_say(conf: Path) -> None:
    started(conf, own_off=False, default_off=False)
    assert not OwnIPv6(INTERFACE, system=False, stays=False).is_on


def test_ipv6_that_stays_off_is_no_problem(conf: Path) -> None:
    assert texts(started(conf, own_off=True, default_off=True)) == []


def test_ipv6_that_comes_on_for_new_interfaces_is_a_problem_until_the_node_is_started_again(conf: Path) -> None:
    ipv6 = started(conf, own_off=True, default_off=True)
    switch(conf, "default", off=False)
    (text,) = texts(ipv6)
    assert text == f"IPv6 came on after the start, and {INTERFACE} goes on with IPv4 only: start the node again"
    assert texts(OwnIPv6(INTERFACE, system=True, stays=False)) == []


def test_ipv6_that_comes_on_for_the_interface_alone_is_a_problem_that_names_the_other_switch(conf: Path) -> None:
    ipv6 = started(conf, own_off=True, default_off=True)
    switch(conf, INTERFACE, off=False)
    (text,) = texts(ipv6)
    assert text.endswith("IPv4 only: sysctl -w net.ipv6.conf.default.disable_ipv6=0, and start the node again")


def test_an_interface_that_stays_has_its_own_switch_named_for_the_next_start_takes_it_with_that(conf: Path) -> None:
    ipv6 = started(conf, own_off=True, default_off=True, stays=True)
    switch(conf, "default", off=False)
    (text,) = texts(ipv6)
    assert text.endswith(f"IPv4 only: sysctl -w net.ipv6.conf.{INTERFACE}.disable_ipv6=0, and start the node again")
    switch(conf, INTERFACE, off=False)
    (text,) = texts(ipv6)
    assert text.endswith("IPv4 only: start the node again")


def test_an_interface_that_stays_and_has_ipv6_by_now_needs_no_other_switch(conf: Path) -> None:
    ipv6 = started(conf, own_off=True, default_off=True, stays=True)
    switch(conf, INTERFACE, off=False)
    (text,) = texts(ipv6)
    assert text.endswith("IPv4 only: start the node again")
    again = OwnIPv6(INTERFACE, system=True, stays=True)
    assert again.is_on
    assert said_at_start(again) == texts(again) == []


def test_the_start_names_the_switch_of_an_interface_that_alone_has_no_ipv6(conf: Path) -> None:
    (line,) = said_at_start(started(conf, own_off=True, default_off=False, stays=True))
    assert line.startswith(f"IPv6 is off on {INTERFACE} alone, by hand, or since new interfaces had none: programs")
    assert line.endswith(f"IPv4 only until it is on: sysctl -w net.ipv6.conf.{INTERFACE}.disable_ipv6=0")
    (line,) = said_at_start(started(conf, own_off=True, default_off=True, stays=True))
    assert line.startswith(f"IPv6 is off on {INTERFACE} as on new interfaces (net.ipv6.conf.default.disable_ipv6)")
