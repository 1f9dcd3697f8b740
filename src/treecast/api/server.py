"""The node's side of the control socket. Takes a request, gets the answer from the daemon and writes it; no more.

Order of checks: which user is it (SO_PEERCRED), are there too many clients, is the request short, is it one. A slow
reader costs at most the memory of a part of an answer for a few seconds, and never delays the node.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from treecast.api.records import (
    ANSWER_TOO_LARGE,
    INTERNAL_ERROR,
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    NOT_THE_OWNER,
    REQUEST_MALFORMED,
    TOO_MANY_CLIENTS,
    Answer,
    ApiRequest,
    Rows,
    Sliced,
    Verb,
)
from treecast.api.socket_path import CONTROL_SOCKET, advice_on_making, bind_staged, is_in_place
from treecast.base.errors import OperatorError
from treecast.base.limits import MAX_CLIENTS

PART_BYTES = 65_536
"""An answer leaves in parts of about this length: a slow reader costs no more memory than one."""

SLICE_S = 0.002
"""The event loop's time that one client gets at a time."""

CLIENT_PATIENCE_S = 5.0
"""How long a client may take to write its request or to read its answer."""

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)
_decode_request = msgspec.json.Decoder(ApiRequest).decode


class ControlServer:
    """Serves one node's answers. Whoever makes it must hold the node's lock: an older socket is replaced."""

    def __init__(
        self,
        directory: Path,
        answer: Callable[[Verb], Answer | Rows],
        failed: Callable[[str, Exception], None],
        follow: Callable[[int | None], Awaitable[Sliced]],
        ask: Callable[[ApiRequest], Awaitable[Answer]],
    ) -> None:
        """``answer`` is called on the event loop's thread and must return at once, as must each step of its rows.

        ``follow`` answers ``group_changes`` from a position on, ``ask`` requests about something: they may wait for a
        few seconds.
        What it raises is a bug: the client gets a refusal, ``failed`` the verb and the exception.
        """
        self._directory = directory
        self._answer = answer
        self._failed = failed
        self._follow = follow
        self._ask = ask
        self._allowed_uids = frozenset((0, os.geteuid()))
        self._server: asyncio.Server | None = None
        self._bound: tuple[int, ...] = ()
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Clients can connect when it returns; OperatorError when the directory does not allow a socket: one that was
        made before, and has gone elsewhere with the directory, is served on.
        """
        try:
            listener = self._bind()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OperatorError(
                f"cannot make {self._directory / CONTROL_SOCKET} ({reason}): {advice_on_making(error)}"
            ) from error
        await self._end()
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_REQUEST_BYTES)

    def is_in_place(self) -> bool:
        """Whether clients find the socket in the directory."""
        return is_in_place(self._directory / CONTROL_SOCKET, self._bound)

    async def close(self) -> None:
        """Drops the clients and removes the socket."""
        if self._server is None:
            return
        await self._end()
        if self.is_in_place():  # else it is another node's
            with suppress(OSError):  # the directory may be gone
                (self._directory / CONTROL_SOCKET).unlink()

    async def _end(self) -> None:
        if self._server is None:
            return
        self._server.close()
        clients = tuple(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _bind(self) -> socket.socket:
        """A listening socket. It gets its mode before anybody can connect, and its name when it is ready."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._bound = bind_staged(listener, self._directory, CONTROL_SOCKET, backlog=MAX_CLIENTS)
        except BaseException:
            listener.close()
            raise
        return listener

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a client is served in a task of its own")
        crowded = len(self._clients) >= MAX_CLIENTS
        self._clients.add(task)
        try:
            writer.transport.set_write_buffer_limits(high=0)  # drain() returns when all is with the kernel
            if _peer_uid(writer) not in self._allowed_uids:
                await _write(writer, _error(NOT_THE_OWNER))
            elif crowded:
                await _write(writer, _error(TOO_MANY_CLIENTS))
            else:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # the client left or dawdles: its own affair
        finally:
            self._clients.discard(task)
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(CLIENT_PATIENCE_S):
                    line = await reader.readline()
                if not line:
                    return
                request = _decode_request(line)
            except (ValueError, msgspec.DecodeError):  # readline: longer than MAX_REQUEST_BYTES
                await _write(writer, _error(REQUEST_MALFORMED))
                return
            await self._reply(writer, request)

    async def _reply(self, writer: asyncio.StreamWriter, request: ApiRequest) -> None:
        """The answer, long ones in parts as they are made. A bug in the midst of one is an error behind its rows."""
        end = b"}\n"
        try:
            if request.verb is Verb.GROUP_CHANGES:
                sliced = await self._follow(request.since)
                head = msgspec.json.encode(sliced.head).removesuffix(b"]}")  # its last field is the list for the rows
                before, rows, end = b'{"answer":' + head, sliced.rows, b"]}}\n"
            elif request.verb in (Verb.TRACE, Verb.WHY):
                traced = await self._ask(request)
                before, rows = b'{"answer":' + msgspec.json.encode(traced), iter(())
            elif isinstance(answer := self._answer(request.verb), Iterator):
                before, rows, end = b'{"answer":[', answer, b"]}\n"
            else:
                before, rows = b'{"answer":' + msgspec.json.encode(answer), iter(())
        except Exception as error:
            self._failed(f"answer to {request.verb}", error)
            await _write(writer, _error(INTERNAL_ERROR))
            return
        await _write(writer, before)
        parts, size = _parts(rows), len(before)
        while True:
            try:
                part = await anext(parts, None)
            except Exception as error:
                self._failed(f"answer to {request.verb}", error)
                await _write(writer, end.removesuffix(b"}\n") + _and_error(INTERNAL_ERROR))
                return
            if part is None:
                break
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                await _write(writer, end.removesuffix(b"}\n") + _and_error(ANSWER_TOO_LARGE))
                return
            await _write(writer, part)
        await _write(writer, end)


async def _parts(rows: Rows) -> AsyncIterator[bytes]:
    """Elements of a JSON array, made in slices between which the event loop does what else there is."""
    encoder, encoded, between, resumed_at = msgspec.json.Encoder(), bytearray(), b"", time.monotonic()
    for row in rows:
        if row is not None:
            encoded += between + encoder.encode(row)
            between = b","
        if len(encoded) > PART_BYTES:
            yield bytes(encoded)
            encoded.clear()
        if time.monotonic() - resumed_at > SLICE_S:
            await asyncio.sleep(0)
            resumed_at = time.monotonic()
    if encoded:
        yield bytes(encoded)


async def _write(writer: asyncio.StreamWriter, reply: bytes) -> None:
    writer.write(reply)
    async with asyncio.timeout(CLIENT_PATIENCE_S):
        await writer.drain()


def _and_error(reason: str) -> bytes:
    """The end of a reply that has begun: readers look at the error first."""
    return b"," + _error(reason).removeprefix(b"{")


def _error(reason: str) -> bytes:
    return msgspec.json.encode({"error": reason}) + b"\n"


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    """The effective user id of the process that connected."""
    client: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = _UCRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
