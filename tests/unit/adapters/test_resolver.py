"""Names to addresses beside an event loop, and a loop that ends meanwhile."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address

import pytest

from treecast.adapters.resolver import addresses_of

ENDS = """
import asyncio, socket, threading
from treecast.adapters import resolver

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()  # a name server that is silent

async def main():
    waiting = asyncio.ensure_future(resolver.addresses_of("name.example"))
    await asyncio.sleep(0)
    waiting.cancel()

asyncio.run(main())
"""


def test_addresses_are_found_once_each() -> None:
    assert asyncio.run(addresses_of("192.0.2.1")) == (IPv4Address("192.0.2.1"),)
    assert asyncio.run(addresses_of("2001:db8::1")) == (IPv6Address("2001:db8::1"),)


def test_a_name_that_is_none_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        asyncio.run(addresses_of("x y"))
    with pytest.raises(UnicodeError):
        asyncio.run(addresses_of("a" * 64 + ".example"))


def test_a_process_ends_while_a_name_server_is_silent() -> None:
    assert subprocess.run([sys.executable, "-c", ENDS], timeout=20, check=False).returncode == 0
