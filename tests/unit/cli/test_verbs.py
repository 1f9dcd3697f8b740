"""The command line: what each verb does, says and returns."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.unit.api.serving import serving
from treecast.adapters import node_directory, storage
from treecast.cli.main import app


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _ok(*arguments: str) -> str:
    result = _run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def _sentence(*arguments: str) -> str:
    """The one sentence of a verb that fails."""
    result = _run(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("treecast: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("treecast: ").rstrip("\n")


def test_a_network_and_its_nodes_are_made_where_the_names_say() -> None:
    assert "network lab: id " in _ok("network", "create", "lab")
    said = _ok("node", "add", "alice", "--network", "lab")
    assert "node alice: index 1, id " in said
    assert "10.77.0.1/16" in said
    assert "Next: treecast up alice --peer HOST" in said
    assert storage.load_node(Path("alice"), _now()).certificate.name == "alice"


def test_every_option_of_the_offline_verbs_is_followed() -> None:
    _ok("network", "create", "lab", "--dir", "here", "--ipv4", "192.168.7.0/24", "--ipv6", "fd00:1:2:3::/64")
    options = ("--ipv4", "192.168.7.9", "--ipv6", "fd00:1:2:3::99", "--days", "2")
    _ok("node", "add", "alice", "--network", "here", "--dir", "there", *options)
    certificate = storage.load_node(Path("there"), _now()).certificate
    assert (str(certificate.ipv4), str(certificate.ipv6)) == ("192.168.7.9/24", "fd00:1:2:3::99/64")
    assert certificate.not_after_s - certificate.not_before_s == 2 * 86_400 + 3600
    assert not Path("lab").exists()
    assert not Path("alice").exists()


def _now() -> float:
    return Path().stat().st_mtime


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("network", "create", "lab"), "lab is there already and not empty: choose another --dir"),
        (("network", "create", "Lab"), "'Lab' cannot be the name of a network"),
        (("network", "create", "../x"), "'../x' cannot be the name of a network"),
        (("network", "create", "x", "--ipv4", "10.0.0.0"), "must have a length from /8 to /30"),
        (("network", "create", "x", "--ipv4", "224.0.0.0/8"), "multicast"),
        (("network", "create", "x", "--ipv4", "127.0.0.0/8"), "loopback"),
        (("network", "create", "x", "--ipv4", ""), "is not an IPv4 prefix"),
        (("network", "create", "x", "--ipv6", "fd00::/48"), "must be a /64"),
        (("network", "create", "x", "--ipv6", ""), "is not an IPv6 prefix"),
        (("network", "create", "x", "--dir", "alice/node.key"), "not a directory: choose another --dir"),
        (
            ("network", "create", "x", "--dir", "alice/node.key/x"),
            "cannot make the network in alice/node.key/x (not a directory)",
        ),
        (("network", "create", "x", "--dir", "y" * 300), "use a shorter name"),
        (("network", "create", "x", "--dir", "/proc/x"), "cannot make the network in /proc/x"),
        (("node", "add", "bob", "--network", "nowhere"), "there is no network in nowhere"),
        (("node", "add", "bob", "--network", "alice"), "alice has no ca.key"),
        (
            ("node", "add", "alice", "--network", "lab"),
            "network lab has a node alice already: choose another name, or renew",
        ),
        (("node", "add", "b_b", "--network", "lab"), "cannot be the name of a node"),
        (("node", "add", "bob", "--network", "lab", "--ipv4", "10.77.0.1"), "10.77.0.1 is taken by node alice"),
        (("node", "add", "bob", "--network", "lab", "--ipv4", "10.78.0.1"), "is not in the network's prefix"),
        (("node", "add", "bob", "--network", "lab", "--ipv4", "bob"), "'bob' is not an IPv4 address"),
        (("node", "add", "bob", "--network", "lab", "--ipv6", "10.77.0.1"), "is not an IPv6 address"),
        (("node", "add", "bob", "--network", "lab", "--ipv6", "fd00::1%lo"), "has a scope"),
        (("node", "add", "bob", "--network", "lab", "--days", "0"), "valid for 1 to 36500 days"),
        (("node", "add", "bob", "--network", "lab", "--dir", "alice"), "not empty: choose another --dir"),
        (("up", "nowhere"), "there is no directory nowhere: make a node with treecast node add"),
        (("up", "lab"), "lab is not a node's directory"),
        (("up", "alice", "--listen", "7700"), "cannot listen on '7700': give ADDRESS:PORT"),
        (("up", "alice", "--listen", "1.2.3.4:0"), "cannot listen on"),
        (("up", "alice", "--listen", "localhost:7700"), "cannot listen on"),
        (("up", "alice", "--listen", "239.1.1.1:7700"), "give a unicast address"),
        (("up", "alice", "--peer", "node:"), "'node:' is not a peer: give HOST or HOST:PORT"),
        (("up", "alice", "--peer", "224.0.0.1"), "--peer 224.0.0.1:7700 is a multicast address"),
        (
            ("up", "alice", "--peer", "10.77.0.9"),
            "is an address of the overlay itself (10.77.0.0/16): give the underlay",
        ),
        (
            ("node", "add", "carol", "--network", "lab", "--replace"),
            "network lab has no node carol: leave out --replace",
        ),
        (("node", "list", "--network", "alice"), "alice has no ca.key"),
        (("network", "show", "nowhere"), "there is no network in nowhere"),
        *(
            ((verb,), "there is no node in /etc/treecast: name its directory as DIR, or make one")
            for verb in ("up", "status", "peers", "groups", "hosts")
        ),
        (("bridge", "add", "eth0"), "there is no node in /etc/treecast"),
        (("up", "alice", "--interface", "x" * 16), "cannot be the name of an interface"),
        *(((verb, "nowhere"), "there is no directory nowhere") for verb in ("status", "peers", "groups", "hosts")),
        *(((verb, "lab"), "lab is not a node's directory") for verb in ("status", "peers", "groups", "hosts")),
        *(
            ((verb, "alice"), "no node is running in alice: start it with treecast up alice")
            for verb in ("status", "peers", "groups", "hosts")
        ),
    ],
)
def test_what_the_operator_can_fix_is_one_sentence_and_changes_nothing(
    arguments: tuple[str, ...], sentence: str
) -> None:
    _ok("network", "create", "lab")
    _ok("node", "add", "alice", "--network", "lab")
    before = sorted((path, path.stat().st_mtime_ns) for path in Path().rglob("*"))
    assert sentence in _sentence(*arguments)
    assert sorted((path, path.stat().st_mtime_ns) for path in Path().rglob("*")) == before


def test_no_verb_that_is_run_here_can_make_an_interface() -> None:
    _ok("network", "create", "lab")
    _ok("node", "add", "alice", "--network", "lab")
    before = socket.if_nameindex()
    sentence = _sentence("up", "alice", "--interface", "tcguard0", "--listen", "127.0.0.1:17799")
    assert "tcguard0" in sentence
    assert socket.if_nameindex() == before


def test_a_full_prefix_is_one_sentence() -> None:
    _ok("network", "create", "lab", "--ipv4", "10.77.0.0/30")
    _ok("node", "add", "a", "--network", "lab")
    _ok("node", "add", "b", "--network", "lab")
    assert "the prefix 10.77.0.0/30 of network lab is full" in _sentence("node", "add", "c", "--network", "lab")
    assert not Path("c").exists()


@pytest.mark.parametrize("file", ["network.json", "ca.key", "nodes.json"])
def test_a_garbled_file_is_one_sentence(file: str) -> None:
    _ok("network", "create", "lab")
    Path("lab", file).write_bytes(os.urandom(100))
    assert f"lab/{file} is damaged" in _sentence("node", "add", "alice", "--network", "lab")
    assert not Path("alice").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("network", "create"),
        ("network", "destroy"),
        ("network", "create", "a", "b"),
        ("node", "add", "--network", "lab"),
        ("node", "add", "alice", "--network", "lab", "--days", "many"),
        ("bridge", "add", "alice", "eth0", "eth1"),
        ("up", "alice", "--log-level", "loud"),
        ("status", "alice", "--xml"),
        ("fly",),
        ("--fly",),
    ],
)
def test_a_command_line_that_is_none_is_exit_code_two(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("treecast: ") and ("give " in line or " -h shows what it takes" in line), line
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    "verb",
    ["", "network", "network create", "node", "node add", "up", "status", "peers", "groups", "hosts"],
)
def test_every_verb_has_help(verb: str) -> None:
    said = _ok(*verb.split(), "--help")
    assert "Usage: " in said
    assert "--help" in said
    assert all(len(line) <= 80 for line in said.splitlines())


def test_help_names_every_option_of_up() -> None:
    said = _ok("up", "--help")
    for option in ("--listen", "--peer", "--interface", "--no-routes", "--membership", "--log-level", "DIR"):
        assert option in said


def test_the_answers_as_json_have_the_records_fields() -> None:
    _ok("network", "create", "lab")
    _ok("node", "add", "alice", "--network", "lab")
    with serving(Path("alice")):
        status = json.loads(_ok("status", "alice", "--json"))
        peers = json.loads(_ok("peers", "alice", "--json"))
        groups = json.loads(_ok("groups", "alice", "--json"))
        hosts = json.loads(_ok("hosts", "alice", "--json"))
    assert list(status) == [
        *("node", "node_id", "network", "interface", "ipv4", "ipv6", "uptime_s", "peers", "counters", "drops"),
        *("listening", "workers", "offloads", "unreached", "queriers", "problems"),
        *("valid_from", "valid_until", "version", "on", "revoked", "log_level", "children"),
        "groups_of_others",
    ]
    assert list(peers[0]) == [
        *("name", "node_id", "endpoint", "state", "rtt_ms", "rx_bytes", "tx_bytes"),
        *("ipv4", "ipv6", "last_received_s", "version", "underlay_mtu", "hybrid", "via", "link"),
        *("demand_bps", "demand_since_s"),
    ]
    assert peers[1]["rtt_ms"] is None
    assert list(groups[0]) == [
        *("group", "source", "members", "local", "rx_packets", "rx_bytes", "tx_packets", "tx_bytes"),
        *("vlan", "here", "senders", "authenticated", "stream"),
    ]
    carol = {"node": "carol", "filter_mode": "exclude", "sources": ["10.77.0.9"], "since_s": None, "permitted": True}
    assert groups[0]["members"][1] == carol
    assert list(hosts[0]) == [
        *("mac", "ip", "node", "age_s", "port", "vlan", "router", "moves", "duplicate", "conflicts"),
        *("unreachable", "own", "name"),
    ]


def test_a_level_that_is_none_is_one_sentence() -> None:
    assert "'loud' is no level: give debug, info, warning, error" in _sentence("log-level", "loud")
    Path("alice").mkdir()
    forgotten = "alice is a directory, and the level is not named: treecast log-level alice debug"
    assert f"{forgotten} (or info, warning, error)" in _sentence("log-level", "alice")


def test_a_second_node_in_one_directory_is_refused() -> None:
    _ok("network", "create", "lab")
    _ok("node", "add", "alice", "--network", "lab")
    with storage.acquire_node_lock(Path("alice")):
        assert "a node is running in alice already" in _sentence("up", "alice")


def test_a_network_and_its_nodes_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    _ok("network", "create", "lab", "--ipv6", "fd00:1:2:3::/64")
    _ok("node", "add", "alice", "--network", "lab")
    _ok("node", "add", "bob", "--network", "lab", "--days", "2")
    for shown in (_ok("network", "show", "lab"), _ok("network", "show", "alice")):
        assert "10.77.0.0/16" in shown
        assert "fd00:1:2:3::/64" in shown
    assert json.loads(_ok("network", "show", "lab", "--json"))["name"] == "lab"
    key = json.loads(Path("lab/network.json").read_text())["key"]
    assert not any(key in _ok("network", "show", "lab", *words) for words in ((), ("--json",)))
    monkeypatch.setenv("TREECAST_DIR", "lab")
    nodes = json.loads(_ok("node", "list", "--json"))
    assert [(node["name"], node["index"], node["ipv4"], node["expired"]) for node in nodes] == [
        ("alice", 1, "10.77.0.1", False),
        ("bob", 2, "10.77.0.2", False),
    ]
    listed = _ok("node", "list").splitlines()
    assert listed[0].split() == ["NAME", "INDEX", "IPV4", "IPV6", "ROLES", "VALID", "UNTIL"]
    assert listed[3].split() == ["bob", "2", "10.77.0.2", "fd00:1:2:3::2", "relay", nodes[1]["valid_until"]]


def test_the_nodes_of_a_network_are_listed_where_it_was_made_and_wherever_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TREECAST_DIR", raising=False)
    monkeypatch.setattr(node_directory, "STANDARD_DIRECTORY", Path("no such place"))
    assert "nor in the working directory" in _sentence("node", "list")
    assert "there is no network in" in _sentence("network", "show")
    _ok("network", "create", "home")
    _ok("node", "add", "alice", "--network", "home")
    listed = _ok("node", "list")
    assert "alice" in listed
    for words in (("home",), ("--network", "home"), ("home", "--json")):
        assert "alice" in _ok("node", "list", *words)
    assert "10.77.0.0/16" in _ok("network", "show")
    monkeypatch.chdir("home")
    assert _ok("node", "list") == listed
    monkeypatch.chdir("..")
    assert "alice has no ca.key" in _sentence("node", "list", "alice")
    _ok("network", "create", "other")
    assert "there are several networks (home, other): name one as --network DIR" in _sentence("node", "list")
    assert "there are several networks (home, other): name one as DIR" in _sentence("network", "show")


def test_the_help_of_peers_is_of_all_nodes_that_it_shows() -> None:
    for words in (("--help",), ("peers", "--help")):
        shown = " ".join(_ok(*words).split())
        assert "linked to" not in shown
        assert "knows or seeks" in shown


def test_a_node_is_renewed_in_its_directory_with_its_keys_and_elsewhere_with_new_ones() -> None:
    _ok("network", "create", "lab")
    _ok("node", "add", "alice", "--network", "lab", "--days", "2")
    first = storage.load_node(Path("alice"), _now()).certificate
    assert "stop alice wherever it still runs, then start it" in _ok(
        "node", "add", "--replace", "alice", "--network", "lab", "--days", "9"
    )
    renewed = storage.load_node(Path("alice"), _now()).certificate
    assert (renewed.node_id, renewed.node_index, renewed.ipv4) == (first.node_id, first.node_index, first.ipv4)
    assert renewed.not_after_s > first.not_after_s
    _ok("node", "add", "--replace", "alice", "--network", "lab", "--dir", "other")
    other = storage.load_node(Path("other"), _now()).certificate
    assert other.node_id != first.node_id
    assert (other.node_index, other.ipv4, other.ipv6) == (first.node_index, first.ipv4, first.ipv6)


def test_a_node_is_found_in_its_own_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TREECAST_DIR", raising=False)
    monkeypatch.setattr(node_directory, "STANDARD_DIRECTORY", Path("no such place"))
    _ok("network", "create", "lab")
    _ok("node", "add", "alice", "--network", "lab", "--dir", "nodes/alice")
    monkeypatch.chdir("nodes")
    assert "there is no node in no such place" in _sentence("status")
    with serving(Path("alice").absolute()):
        monkeypatch.chdir("alice")
        assert json.loads(_ok("status", "--json"))["node"] == "alice"


def test_the_directory_may_be_left_out_where_it_holds_one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    _ok("network", "create", "lab")
    _ok("node", "add", "alice", "--network", "lab", "--dir", "nodes/alice")
    monkeypatch.setenv("TREECAST_DIR", "nodes")
    with serving(Path("nodes/alice")):
        assert json.loads(_ok("status", "--json"))["node"] == "alice"
        monkeypatch.setenv("TREECAST_DIR", "nodes/alice")
        assert json.loads(_ok("status", "--json"))["node"] == "alice"
    monkeypatch.setenv("TREECAST_DIR", "nodes")
    _ok("node", "add", "bob", "--network", "lab", "--dir", "nodes/bob")
    assert "there are several nodes (nodes/alice, nodes/bob): name one as DIR" in _sentence("status")
