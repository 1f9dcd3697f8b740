"""A program of its own on a host: announces a service by mDNS (RFC 6762, RFC 6763), or finds one.

``announce VERSION NAME ADDRESS`` says ``ready`` and stays; ``find VERSION`` prints name, port and addresses of the
first that it hears of.
"""

from __future__ import annotations

import signal
import sys
from ipaddress import ip_address
from queue import SimpleQueue

from zeroconf import IPVersion, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

SERVICE = "_treecast-test._tcp.local."
PORT = 4711
LIMIT_S = 20.0
VERSIONS = {"4": IPVersion.V4Only, "6": IPVersion.V6Only}


def announce(version: str, name: str, address: str) -> None:
    packed = ip_address(address).packed
    info = ServiceInfo(SERVICE, f"{name}.{SERVICE}", addresses=[packed], port=PORT, server=f"{name}.local.")
    with Zeroconf(ip_version=VERSIONS[version]) as responder:
        responder.register_service(info)
        print("ready", flush=True)
        signal.pause()


def find(version: str) -> None:
    names: SimpleQueue[str] = SimpleQueue()

    def heard(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added:
            names.put(name)

    with Zeroconf(ip_version=VERSIONS[version]) as asker:
        browser = ServiceBrowser(asker, SERVICE, handlers=[heard])
        name = names.get(timeout=LIMIT_S)
        info = asker.get_service_info(SERVICE, name, timeout=round(LIMIT_S * 1000))
        if info is None:
            raise TimeoutError(f"{name} has no address")
        print(name, info.port, *info.parsed_addresses(), flush=True)
        browser.cancel()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    if sys.argv[1] == "announce":
        announce(*sys.argv[2:])
    else:
        find(*sys.argv[2:])
