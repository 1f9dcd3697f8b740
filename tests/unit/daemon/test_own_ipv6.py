"""IPv6 of the node's interface: its own switch, and that of new interfaces, which is the operator's wish for it."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def started(conf: Path, *, own_off: bool, default_off: bool) -> OwnIPv6:
    switch(conf, INTERFACE, off=own_off)
    switch(conf, "default", off=default_off)
    return OwnIPv6(INTERFACE, system=True)


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
    assert not OwnIPv6(INTERFACE, system=False).is_on


def test_ipv6_that_stays_off_is_no_problem(conf: Path) -> None:
    assert texts(started(conf, own_off=True, default_off=True)) == []


def test_ipv6_that_comes_on_for_new_interfaces_is_a_problem_until_the_node_is_started_again(conf: Path) -> None:
    ipv6 = started(conf, own_off=True, default_off=True)
    switch(conf, "default", off=False)
    (text,) = texts(ipv6)
    assert text == f"IPv6 came on after the start, and {INTERFACE} goes on with IPv4 only: start the node again"
    assert texts(OwnIPv6(INTERFACE, system=True)) == []


def test_ipv6_that_comes_on_for_the_interface_alone_is_a_problem_that_names_the_other_switch(conf: Path) -> None:
    ipv6 = started(conf, own_off=True, default_off=True)
    switch(conf, INTERFACE, off=False)
    (text,) = texts(ipv6)
    assert text.endswith("IPv4 only: sysctl -w net.ipv6.conf.default.disable_ipv6=0, and start the node again")
