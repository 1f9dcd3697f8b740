"""The control socket: answers for its owner, and no harm from anybody else."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.unit.api.serving import GROUPS, HOSTS, PEERS, STATUS, sample_answer, sample_changes, sample_trace, serving
from treecast.api import server as server_module
from treecast.api.client import fetch_groups, fetch_hosts, fetch_peers, fetch_status
from treecast.api.records import Answer, Group, Host, Rows, Verb
from treecast.api.server import ControlServer
from treecast.base.errors import OperatorError
from treecast.base.limits import MAX_CLIENTS

LIMIT_S = 20.0


def _connect(directory: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(directory / "control.sock"))
    return client


def _line(client: socket.socket) -> dict[str, object]:
    with client.makefile("rb") as file:
        answer: dict[str, object] = json.loads(file.readline())
    return answer


def _sentence(call: Callable[[], object]) -> str:
    with pytest.raises(OperatorError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_each_verb_gets_its_records(tmp_path: Path) -> None:
    with serving(tmp_path):
        assert fetch_status(tmp_path) == STATUS
        assert fetch_peers(tmp_path) == PEERS
        assert fetch_groups(tmp_path) == GROUPS
        assert fetch_hosts(tmp_path) == HOSTS


def test_a_connection_carries_several_requests(tmp_path: Path) -> None:
    with serving(tmp_path), _connect(tmp_path) as client, client.makefile("rb") as answers:
        client.sendall(b'{"verb": "status"}\n{"verb": "hosts"}\n')
        assert json.loads(answers.readline())["answer"]["node"] == "alice"
        assert json.loads(answers.readline())["answer"][0]["node"] == "alice"


def test_the_socket_is_for_its_owner_and_goes_with_the_node(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with serving(tmp_path):
            assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_another_account_is_refused_even_when_it_may_open_the_socket(tmp_path: Path) -> None:
    with serving(tmp_path):
        tmp_path.chmod(0o755)
        (tmp_path / "control.sock").chmod(0o666)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.chdir(tmp_path)
            os.setgroups([])
            os.setgid(65_534)
            os.setuid(65_534)
            try:
                fetch_status(Path())
            except OperatorError as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().decode()
        os.waitpid(child, 0)
    assert said == "the node in . answers only the account that runs it: use that account or root"


def test_a_directory_with_a_long_name_has_a_control_socket_too(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with serving(deep):
        assert (deep / "control.sock").is_socket()
        assert fetch_status(deep) == STATUS
    assert list(deep.iterdir()) == []
    assert "no node is running" in _sentence(lambda: fetch_status(deep))


def test_without_a_node_the_sentence_says_how_to_start_it(tmp_path: Path) -> None:
    expected = f"no node is running in {tmp_path}: start it with treecast up {tmp_path}"
    assert _sentence(lambda: fetch_status(tmp_path)) == expected
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    assert _sentence(lambda: fetch_peers(tmp_path)) == expected


def test_the_socket_of_a_dead_node_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    with serving(tmp_path):
        assert fetch_status(tmp_path) == STATUS


def test_a_socket_that_is_another_nodes_by_now_is_left(tmp_path: Path) -> None:
    with serving(tmp_path):
        (tmp_path / "control.sock").unlink()
        (tmp_path / "control.sock").touch()
    assert (tmp_path / "control.sock").exists()


def test_a_directory_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    async def start() -> None:
        await ControlServer(tmp_path / "gone", sample_answer, lambda *_: None, sample_changes, sample_trace).start()

    assert "cannot make" in _sentence(lambda: asyncio.run(start()))


@pytest.mark.parametrize(
    "request_line",
    [
        b"\n",
        b"status\n",
        b'{"verb": "stop"}\n',
        b'{"verb": "status", "more": 1}\n',
        b'{"verb": ["status"]}\n',
        b'{"verb": "status"\n',
        b"\xff\xfe\n",
        b"[" * 4000 + b"\n",
        b"x" * 5000 + b"\n",
        b"x" * 100_000,
    ],
)
def test_a_malformed_request_is_refused_and_the_next_client_served(tmp_path: Path, request_line: bytes) -> None:
    with serving(tmp_path):
        with _connect(tmp_path) as client:
            client.sendall(request_line)
            assert _line(client) == {"error": "request_malformed"}
            assert client.recv(1) == b""
        assert fetch_status(tmp_path) == STATUS


def test_a_client_that_leaves_in_the_middle_harms_nobody(tmp_path: Path) -> None:
    many = [Host("02:54:00:00:00:01", [], "alice", 0.0)] * 40_000
    with serving(tmp_path, lambda verb: many if verb is Verb.HOSTS else STATUS):
        for sent in (b"", b'{"verb"', b'{"verb": "hosts"}\n'):
            client = _connect(tmp_path)
            client.sendall(sent)
            client.close()
        assert fetch_status(tmp_path) == STATUS


def test_a_slow_reader_delays_nobody_and_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CLIENT_PATIENCE_S", 0.3)
    many = [Host("02:54:00:00:00:01", [], "alice", 0.0)] * 100_000
    with serving(tmp_path, lambda verb: many if verb is Verb.HOSTS else STATUS), _connect(tmp_path) as slow:
        slow.sendall(b'{"verb": "hosts"}\n')
        assert fetch_status(tmp_path) == STATUS
        first = slow.recv(1, socket.MSG_PEEK)
        assert first == b"{"
        with _connect(tmp_path) as silent:
            assert silent.recv(1) == b""  # a client that asks nothing is dropped after as long
        received = 0
        with pytest.raises(ConnectionResetError):
            while chunk := slow.recv(1 << 20):
                received += len(chunk)
            raise ConnectionResetError
        assert received < 5_000_000


def test_an_answer_that_raises_costs_that_answer_and_is_reported(tmp_path: Path) -> None:
    def rows() -> Rows:
        yield PEERS[0]
        raise RuntimeError("half way")

    def answer(verb: Verb) -> Answer | Rows:
        if verb is Verb.HOSTS:
            raise RuntimeError("at once")
        return rows() if verb is Verb.GROUPS else sample_answer(verb)

    with serving(tmp_path, answer) as bugs:
        for ask in (fetch_hosts, fetch_groups):
            with pytest.raises(OperatorError, match="met a bug while it answered: see its log"):
                ask(tmp_path)
        assert fetch_peers(tmp_path) == PEERS
    assert bugs == ["answer to hosts: RuntimeError('at once')", "answer to groups: RuntimeError('half way')"]


def test_clients_are_answered_at_once_up_to_a_limit(tmp_path: Path) -> None:
    with serving(tmp_path):
        clients = [_connect(tmp_path) for _ in range(MAX_CLIENTS)]
        for client in clients:
            client.sendall(b'{"verb": "peers"}\n')
        assert all("answer" in _line(client) for client in clients)
        with _connect(tmp_path) as extra:
            assert _line(extra) == {"error": "too_many_clients"}
        for client in clients:
            client.close()


def test_ten_thousand_groups_fit_in_an_answer(tmp_path: Path) -> None:
    with serving(tmp_path, lambda _: GROUPS * 5000):
        assert len(fetch_groups(tmp_path)) == 10_000


def test_rows_are_made_in_slices_while_others_are_served(tmp_path: Path) -> None:
    begun, answered, in_time = Event(), Event(), []

    def rows() -> Iterator[Group | None]:
        begun.set()
        ends = time.monotonic() + LIMIT_S
        while not answered.wait(0.0005) and time.monotonic() < ends:  # waiting lets the client's thread run
            yield None
        in_time.append(answered.is_set())
        yield from GROUPS

    def answer(verb: Verb) -> Answer | Rows:
        return rows() if verb is Verb.GROUPS else sample_answer(verb)

    with serving(tmp_path, answer), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(fetch_groups, tmp_path)
        assert begun.wait(LIMIT_S)
        assert fetch_status(tmp_path) == STATUS
        answered.set()
        assert asked.result(LIMIT_S) == GROUPS
    assert in_time == [True]


def test_rows_that_are_too_many_are_cut_off_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def rows() -> Iterator[Host | None]:
        nonlocal made
        while True:
            made += 1
            yield Host("02:54:00:00:00:01", ["x" * 2**20], "alice", 0.0)

    monkeypatch.setattr(server_module, "MAX_ANSWER_BYTES", 2**22)
    with serving(tmp_path, lambda _: rows()):
        assert "answer_too_large" in _sentence(lambda: fetch_hosts(tmp_path))
    assert made <= 2**22 // 2**20 + 1


def test_no_rows_are_an_empty_list(tmp_path: Path) -> None:
    with serving(tmp_path, lambda _: iter([None])):
        assert fetch_groups(tmp_path) == []


def _other_server(directory: Path, reply: bytes | None) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "control.sock"))
    listener.listen()
    if reply is not None:
        child = os.fork()
        if child == 0:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(reply)
            os._exit(0)
    return listener


def test_a_node_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with _other_server(tmp_path, None):
        sentence = _sentence(lambda: fetch_status(tmp_path, timeout_s=0.1))
    assert sentence == f"the node in {tmp_path} did not answer within 0.1 s: try again"


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (b"", "did not answer (it closed the connection)"),
        (b'{"answer": {"node": "ali', "did not answer (it closed the connection)"),
        (b"hello\n", "of another version"),
        (b'{"answer": {"node": "alice"}}\n', "of another version"),
        (b"{}\n", "of another version"),
        (b'{"error": "too_many_clients"}\n', "refused (too_many_clients)"),
        (b'{"error": "not_the_owner"}\n', "only the account that runs it"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(tmp_path: Path, reply: bytes, sentence: str) -> None:
    with _other_server(tmp_path, reply):
        assert sentence in _sentence(lambda: fetch_status(tmp_path))
    os.wait()


def test_a_refusal_that_comes_before_the_request_is_sent_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        connect = socket.socket.connect

        def connect_and_be_refused(client: socket.socket, path: str) -> None:
            connect(client, path)
            connection, _ = listener.accept()
            connection.sendall(b'{"error": "not_the_owner"}\n')
            connection.close()

        monkeypatch.setattr(socket.socket, "connect", connect_and_be_refused)
        assert "only the account that runs it" in _sentence(lambda: fetch_status(tmp_path))


def test_an_answer_with_more_fields_is_understood(tmp_path: Path) -> None:
    more = json.dumps({"answer": [{"mac": "m", "ip": [], "node": "n", "age_s": 1, "colour": "blue"}], "later": 1})
    with _other_server(tmp_path, more.encode() + b"\n"):
        assert fetch_hosts(tmp_path) == [Host("m", [], "n", 1)]
    os.wait()


def test_a_directory_in_place_of_the_socket_is_one_sentence_that_says_to_remove_it(tmp_path: Path) -> None:
    (tmp_path / "control.sock").mkdir()
    assert _sentence(lambda: fetch_status(tmp_path)) == (
        f"{tmp_path}/control.sock is no socket: remove it, and a node that runs in {tmp_path} makes its own there "
        "within 5 s"
    )
    server = ControlServer(tmp_path, sample_answer, lambda *_: None, sample_changes, sample_trace)
    with pytest.raises(OperatorError, match=r"control.sock \(is a directory\): remove it"):
        asyncio.run(server.start())
