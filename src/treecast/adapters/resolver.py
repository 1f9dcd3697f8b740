"""The machine's resolver, in threads that hold nothing up: a silent name server blocks a call for half a minute."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread

from treecast.base.addresses import IPAddress


async def addresses_of(host: str) -> tuple[IPAddress, ...]:
    """The addresses of a host name or of an address's text, each once. OSError; UnicodeError for what IDNA cannot have.

    A process that ends does not wait for a call that was given up, as it would for one in the event loop's own threads.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[IPAddress, ...]] = loop.create_future()

    def give(found: tuple[IPAddress, ...] | Exception) -> None:
        if answer.cancelled():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def resolve() -> None:
        found: tuple[IPAddress, ...] | Exception
        try:
            found = _getaddrinfo(host)
        except (OSError, UnicodeError) as error:
            found = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(give, found)

    Thread(target=resolve, name=f"resolve {host}", daemon=True).start()
    return await answer


def _getaddrinfo(host: str) -> tuple[IPAddress, ...]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return tuple(dict.fromkeys(ip_address(str(address[0]).split("%")[0]) for *_, address in found))
