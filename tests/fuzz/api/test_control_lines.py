"""Random lines on both ends of the control socket: an answer, a named refusal, or one sentence."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.api.serving import STATUS, serving
from treecast.api.client import fetch_peers, fetch_status
from treecast.api.records import Peer
from treecast.base.errors import OperatorError

_REQUEST = b'{"verb": "status"}'
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_LINES = (
    st.binary(max_size=200)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["verb", "answer", "error"]), _JSON).map(lambda value: json.dumps(value).encode())
    | st.integers(0, len(_REQUEST)).flatmap(
        lambda position: st.binary(max_size=4).map(lambda added: _REQUEST[:position] + added + _REQUEST[position:])
    )
)


@settings(max_examples=5, deadline=None)
@given(lines=st.lists(_LINES, min_size=100, max_size=200))
def test_any_line_gets_an_answer_or_a_refusal_and_the_node_goes_on(lines: list[bytes]) -> None:
    with TemporaryDirectory() as name, serving(Path(name)):
        for line in lines:
            with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as answers:
                client.settimeout(5)
                client.connect(f"{name}/control.sock")
                client.sendall(line + b"\n")
                reply = json.loads(answers.readline())
            assert "answer" in reply or reply == {"error": "request_malformed"}
        assert fetch_status(Path(name)) == STATUS


@settings(max_examples=200, deadline=None)
@given(line=_LINES | _LINES.map(lambda line: b'{"answer": ' + line + b"}"))
def test_any_answer_is_the_record_or_one_sentence(line: bytes) -> None:
    with TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{name}/control.sock")
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(line + b"\n")

        node = Thread(target=answer)
        node.start()
        try:
            assert all(isinstance(peer, Peer) for peer in fetch_peers(Path(name), timeout_s=5))
        except OperatorError as error:
            assert "\n" not in str(error)
        finally:
            node.join()
