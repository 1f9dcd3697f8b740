"""Programs that know nothing of Treecast, on hosts of LANs behind different nodes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.sites import LIMIT_S, Sites
from tests.lab.interop.mdns import PORT, SERVICE
from tests.lab.overlay.asking import wait_members
from tests.lab.overlay.machines import talk
from treecast.api.client import fetch_hosts

MDNS = Path(__file__).parent / "mdns.py"
STREAM = "239.66.0.1"


@pytest.mark.parametrize("version", [4, 6])
def test_mdns_finds_a_service_of_another_lan(sites: Sites, version: int) -> None:
    here, there = sites.lans[0], sites.lans[2]
    address = here.host_ipv4(1) if version == 4 else str(here.hosts[0].ports[0].ipv6.ip)
    name = f"camera{version}"
    neighbour = here.host_ipv4(2) if version == 4 else str(here.hosts[1].ports[0].ipv6.ip)
    talk(here.hosts[0], neighbour)  # the node learns its address from ARP or ND
    responder = here.hosts[0].spawn(
        [sys.executable, MDNS, "announce", str(version), name, address], stdout=subprocess.PIPE
    )
    try:
        assert responder.read_line(LIMIT_S) == "ready"
        found = there.hosts[1].run([sys.executable, MDNS, "find", str(version)]).stdout.split()
        assert found == [f"{name}.{SERVICE}", str(PORT), address]
        assert f"{name}.local" in {host.name for host in fetch_hosts(sites.overlay[0].directory) if address in host.ip}
    finally:
        responder.stop()


def test_iperf_streams_to_a_group_and_reports_no_loss(sites: Sites, tmp_path: Path) -> None:
    here, there = sites.lans[0], sites.lans[1]
    report = tmp_path / "server"
    listening = ["iperf", "-s", "-u", "-B", f"{STREAM}%eth0", "-P", "1"]  # -P 1: it ends with its client
    server = there.hosts[0].spawn(listening, stdout=report)
    wait_members(sites.overlay[0], STREAM, {"n1"}, LIMIT_S)
    sending = ["iperf", "-c", STREAM, "-u", "-T", "4", "-b", "4M", "-l", "1200", "-t", "2", "-B", here.host_ipv4(1)]
    sent = re.search(r"Sent (\d+) datagrams", here.hosts[0].run(sending).stdout)
    assert server.wait(LIMIT_S) == 0
    wait_members(sites.overlay[0], STREAM, set(), LIMIT_S)
    came = re.search(r" ms +(\d+)/(\d+) \(", report.read_text(encoding="ascii"))  # lost of all
    assert sent is not None
    assert came is not None
    assert (int(came[1]), int(came[2])) == (0, int(sent[1]) - 1)  # the client counts its farewell too
    assert int(came[2]) > 800
