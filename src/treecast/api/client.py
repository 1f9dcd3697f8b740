"""The verbs' side of the control socket: a request to a running node, and its answer, some of it each five seconds."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from treecast.api.bridge_records import Bridge
from treecast.api.records import (
    INTERNAL_ERROR,
    MAX_ANSWER_BYTES,
    NOT_THE_OWNER,
    ApiRequest,
    Group,
    GroupChanges,
    Host,
    Peer,
    Status,
    Verb,
)
from treecast.api.socket_path import CONTROL_SOCKET, in_the_way, is_other_than_socket, short_path
from treecast.api.trace_records import TreeTrace, Why
from treecast.base.errors import OperatorError

TIMEOUT_S = 5.0

T = TypeVar("T")


class _Reply(msgspec.Struct, Generic[T], frozen=True):
    answer: T | None = None
    error: str | None = None


def fetch_status(directory: Path, timeout_s: float = TIMEOUT_S) -> Status:
    """The node itself; OperatorError when it does not answer."""
    return _request(directory, Verb.STATUS, _Reply[Status], timeout_s)


def fetch_peers(directory: Path, timeout_s: float = TIMEOUT_S) -> list[Peer]:
    """The other nodes; OperatorError when it does not answer."""
    return _request(directory, Verb.PEERS, _Reply[list[Peer]], timeout_s)


def fetch_groups(directory: Path, timeout_s: float = TIMEOUT_S) -> list[Group]:
    """The multicast table; OperatorError when it does not answer."""
    return _request(directory, Verb.GROUPS, _Reply[list[Group]], timeout_s)


def fetch_some_groups(directory: Path, timeout_s: float = TIMEOUT_S) -> list[Group]:
    """The first part of the multicast table, for people; OperatorError when it does not answer."""
    return _request(directory, Verb.SOME_GROUPS, _Reply[list[Group]], timeout_s)


def fetch_group_changes(directory: Path, since: int | None, timeout_s: float = TIMEOUT_S) -> GroupChanges:
    """Changes of the multicast table since a position, or all of it; OperatorError when it does not answer.

    Where nothing changes the node answers after two seconds.
    """
    return _request(directory, ApiRequest(Verb.GROUP_CHANGES, since), _Reply[GroupChanges], timeout_s)


def fetch_trace(directory: Path, group: str, source: str, timeout_s: float = TIMEOUT_S) -> TreeTrace:
    """The trees of a group, as the nodes on them report them; OperatorError when it does not answer.

    A node answers after 3 s at most, whoever does not answer it.
    """
    return _request(directory, ApiRequest(Verb.TRACE, group=group, source=source), _Reply[TreeTrace], timeout_s)


def fetch_why(directory: Path, about: str, timeout_s: float = TIMEOUT_S) -> Why:
    """Decisions about a node or a group; OperatorError when it does not answer."""
    return _request(directory, ApiRequest(Verb.WHY, group=about), _Reply[Why], timeout_s)


def fetch_hosts(directory: Path, timeout_s: float = TIMEOUT_S) -> list[Host]:
    """The host table; OperatorError when it does not answer."""
    return _request(directory, Verb.HOSTS, _Reply[list[Host]], timeout_s)


def fetch_bridge(directory: Path, *, changed: bool = False, timeout_s: float = TIMEOUT_S) -> Bridge:
    """The node's bridges, looked at again if that has ``changed``; OperatorError when it does not answer."""
    return _request(directory, Verb.BRIDGE_CHANGED if changed else Verb.BRIDGE, _Reply[Bridge], timeout_s)


def set_log_level(directory: Path, level: str, timeout_s: float = TIMEOUT_S) -> Status:
    """The node itself, which logs from this level on; OperatorError when it does not answer."""
    return _request(directory, Verb(f"log_{level}"), _Reply[Status], timeout_s)


def take_revocations(directory: Path, timeout_s: float = TIMEOUT_S) -> Status:
    """The node itself, once it has read its revocations again; OperatorError when it does not answer."""
    return _request(directory, Verb.REVOCATIONS_CHANGED, _Reply[Status], timeout_s)


def _request(directory: Path, request: Verb | ApiRequest, reply_type: type[_Reply[T]], timeout_s: float) -> T:
    other_version = f"the node in {directory} is of another version: restart it with treecast up {directory}"
    asked = request if isinstance(request, ApiRequest) else ApiRequest(request)
    try:
        line = _exchange(directory, msgspec.json.encode(asked) + b"\n", timeout_s)
        reply = msgspec.json.decode(line, type=reply_type)
    except (FileNotFoundError, ConnectionRefusedError):
        if is_other_than_socket(directory / CONTROL_SOCKET):
            raise OperatorError(in_the_way(directory, CONTROL_SOCKET)) from None
        raise OperatorError(f"no node is running in {directory}: start it with treecast up {directory}") from None
    except PermissionError:
        raise OperatorError(_not_the_owner(directory)) from None
    except TimeoutError:
        raise OperatorError(f"the node in {directory} did not answer within {timeout_s:g} s: try again") from None
    except msgspec.DecodeError as error:
        raise OperatorError(other_version) from error
    except OSError as error:
        if not _is_listening(directory):
            ended = f"the node in {directory} has ended: start it again with treecast up {directory}"
            raise OperatorError(ended) from error
        reason = (error.strerror or str(error)).lower()
        raise OperatorError(f"the node in {directory} did not answer ({reason}): try again") from error
    if reply.error == NOT_THE_OWNER:
        raise OperatorError(_not_the_owner(directory))
    if reply.error == INTERNAL_ERROR:
        raise OperatorError(
            f"the node in {directory} met a bug while it answered: see its log, and report what it says"
        )
    if reply.error is not None:
        raise OperatorError(f"the node in {directory} refused ({reply.error}): try again")
    if reply.answer is None:
        raise OperatorError(other_version)
    return reply.answer


def _exchange(directory: Path, request: bytes, timeout_s: float) -> bytes:
    """One line to the node, one line from it; OSError, TimeoutError."""
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        with short_path(directory, CONTROL_SOCKET) as path:
            connection.connect(path)
        with suppress(
            BrokenPipeError
        ):  # a node that refuses does not wait for the request: its reason is there to read
            connection.sendall(request)
        line = bytearray()
        while not line.endswith(b"\n") and len(line) <= MAX_ANSWER_BYTES:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            received = connection.recv(65_536)
            if not received:
                raise ConnectionResetError("it closed the connection")
            line += received
            deadline = time.monotonic() + timeout_s
    return bytes(line)


def _is_listening(directory: Path) -> bool:
    """Whether a node takes requests. One that ends closes its socket before it closes connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            with short_path(directory, CONTROL_SOCKET) as path:
                connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
    return True


def _not_the_owner(directory: Path) -> str:
    return f"the node in {directory} answers only the account that runs it: use that account or root"
