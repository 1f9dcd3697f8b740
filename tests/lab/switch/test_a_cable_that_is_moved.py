"""A machine whose cable goes from one bridged LAN to another: it is reached there, and given its groups."""

from __future__ import annotations

import subprocess
from functools import partial

import pytest

from lab import Lab, Machine, wait_until
from lab.lan import Lan
from lab.load import Receiver, Sender
from lab.process import in_namespace
from lab.sites import make_sites

GROUP = "239.9.9.9"
SOON_S = 5.0
LIMIT_S = 20.0
"""Far from what would help without anybody's notice: a host is forgotten, and a LAN queried, after two minutes."""
ETH0 = "eth0"


def pinged(machine: Machine, address: str) -> bool:
    return machine.run(["ping", "-c", "1", "-W", "1", address], check=False).returncode == 0


def replug(machine: Machine, before: Lan, after: Lan) -> None:
    """The other end of its cable goes from switch to switch."""
    port = machine.ports[0].switch_port
    away, there = before.switch.namespace, after.switch.namespace
    _in(away, "ip", "link", "set", port, "netns", there, "name", "moved")
    _in(there, "ip", "link", "set", "moved", "master", "br0", "up")


def test_a_machine_whose_cable_goes_to_another_lan_is_reached_from_the_old_one_and_has_its_group(lab: Lab) -> None:
    moved(lab, LIMIT_S)


@pytest.mark.soak
def test_a_machine_whose_cable_was_moved_is_reached_and_has_its_group_within_5_s(lab: Lab) -> None:
    moved(lab, SOON_S)


def moved(lab: Lab, limit_s: float) -> None:
    """The machine is reached within the limit from where it was, and then has its group within the limit."""
    sites = make_sites(lab, 2, 2)
    here, there = sites.lans
    (stays, roamer), far = here.hosts, there.hosts[0]
    receiver = Receiver(roamer, GROUP, 5007, interface=ETH0)  # its reports are long over when it moves
    sites.bridge_all()
    roamers = here.host_ipv4(2)
    for asker in (stays, far):
        wait_until(partial(pinged, asker, roamers), LIMIT_S, "it is reached where it is")
    wait_until(lambda: pinged(stays, there.host_ipv4(1)), LIMIT_S, "the LANs are one")
    replug(roamer, here, there)
    wait_until(lambda: pinged(roamer, there.host_ipv4(1)), LIMIT_S, "it speaks where it is now")
    sender = Sender(stays, GROUP, 5007, interface=ETH0, rate_pps=50)
    before = receiver.snapshot().received
    wait_until(lambda: pinged(stays, roamers), limit_s, "it is reached where it is now")
    wait_until(lambda: receiver.snapshot().received > before, limit_s, "it has its group there")
    sender.stop()
    receiver.stop()


def _in(namespace: str, *command: str) -> None:
    subprocess.run(in_namespace(namespace, command), check=True, capture_output=True, timeout=LIMIT_S)
