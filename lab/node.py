"""Treecast on the machines of a lab, started as an operator starts it.

::

      n0: treecast up n0        n1: treecast up n1 --peer n0     n2: treecast up n2 --peer n0
     +---------------------+   +---------------------+          +---------------------+
     | treecast0 10.77.0.1 |   | treecast0 10.77.0.2 |          | treecast0 10.77.0.3 |
     | eth0 198.18.0.1:7700|   | eth0 198.18.0.2:7700|          | eth0 198.18.0.3:7700|
     +----------||---------+   +----------||---------+          +----------||---------+
     ===========++========================++======== switch0 ==============++==========

Directories are made, and nodes are asked, as the verbs do it, without a process for each: that costs a third of a
second of a core, and labs do it all the time.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence, Set
from pathlib import Path

from lab.machine import Machine
from lab.process import Process
from lab.waiting import wait_until
from treecast.adapters import storage
from treecast.api.client import fetch_groups, fetch_hosts, fetch_peers, fetch_status
from treecast.api.records import Group, Host, Peer, Status
from treecast.identity.node import NodeRequest
from treecast.identity.rights import Role

PROGRAM = Path(sys.executable).parent / "treecast"
PORT = 7700
INTERFACE = "treecast0"
READY_LIMIT_S = 30.0
START_LIMIT_S = 75.0
"""A kernel that is busy with the namespaces of others makes a node wait for its netlink answers."""
STOP_LIMIT_S = 10.0
VERB_LIMIT_S = 30.0
POLL_S = 0.05
VALID_DAYS = 365
LOG_TAIL_CHARACTERS = 4000


def run_treecast(*arguments: str | Path) -> str:
    """Runs a verb that needs no machine; its stdout. RuntimeError with its sentence when it fails."""
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=VERB_LIMIT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"treecast {' '.join(str(a) for a in arguments)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def create_network(directory: Path, name: str = "lab", *, ipv4: str = "10.77.0.0/16") -> Path:
    """The directory with the network file and the CA key, as ``network create`` makes it."""
    storage.create_network(directory, name, ipv4, None)
    return directory


class TreecastNode:
    """One node: its directory, and its daemon while it runs. The addresses are known once it is ready."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        """A node of a directory that exists already. ``TreecastNode.add`` makes one."""
        self.machine = machine
        self.directory = directory
        self.log = directory.with_name(f"{directory.name}.stderr")
        self.name = directory.name
        self.interface = INTERFACE
        self.ipv4 = ""
        self.ipv6 = ""
        self.program: Sequence[str | Path] = (PROGRAM,)
        self.environment: dict[str, str] = {}
        self._process: Process | None = None
        self._log_before_bytes = 0

    @classmethod
    def add(cls, machine: Machine, network: Path, directory: Path) -> TreecastNode:
        """A member named as the machine is, in ``directory/NAME``, as of ``node add --role bridge,relay``."""
        own = directory / machine.name
        storage.add_node(
            network, own, NodeRequest(machine.name, None, None, VALID_DAYS, roles=Role.BRIDGE | Role.RELAY), time.time()
        )
        return cls(machine, own)

    @property
    def endpoint(self) -> str:
        """Where other nodes reach it: the ``--peer`` of the others."""
        return f"{self.machine.underlay_ipv4}:{PORT}"

    @property
    def process(self) -> Process:
        if self._process is None:
            raise ValueError(f"{self.name} has not been started")
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self, *peers: str, options: Sequence[str] = ()) -> None:
        """``up`` in the background, without waiting; stderr is appended to ``log``."""
        known = [word for peer in peers for word in ("--peer", peer)]
        command: list[str | Path] = [*self.program, "up", self.directory, *known, *options]
        self._log_before_bytes = self.log.stat().st_size if self.log.exists() else 0
        self._process = self.machine.spawn(command, stdout=subprocess.PIPE, stderr=self.log, env=self.environment)

    def wait_ready(self, limit_s: float = START_LIMIT_S) -> None:
        """Reads ``ready NODE IPV4 IPV6`` (- for one it lacks).

        RuntimeError with the end of its log when the daemon says otherwise, or nothing in time, and where it waits.
        """
        try:
            line = self.process.read_line(limit_s)
        except (TimeoutError, EOFError) as error:
            waits = self.process.kernel_waits()
            raise RuntimeError(f"{self.name} is not ready: {error}; in {waits}\n{self.log_tail()}") from error
        words = line.split()
        if words[:2] != ["ready", self.name] or len(words) != 4:
            raise RuntimeError(f"{self.name} said {line!r} and not that it is ready\n{self.log_tail()}")
        self.ipv4, self.ipv6 = ("" if word == "-" else word for word in words[2:])

    def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """SIGTERM; it must end within the limit and with exit code 0."""
        code = self.process.stop(limit_s)
        if code != 0:
            raise RuntimeError(f"{self.name} ended with exit code {code}\n{self.log_tail()}")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def status(self) -> Status:
        return fetch_status(self.directory, VERB_LIMIT_S)

    def peers(self) -> list[Peer]:
        return fetch_peers(self.directory, VERB_LIMIT_S)

    def groups(self) -> list[Group]:
        return fetch_groups(self.directory, VERB_LIMIT_S)

    def hosts(self) -> list[Host]:
        return fetch_hosts(self.directory, VERB_LIMIT_S)

    def peers_up(self) -> set[str]:
        """The names of the nodes it has a working link to."""
        return {peer.name for peer in self.peers() if peer.state == "up"}

    def wait_linked(self, others: Set[str], limit_s: float = READY_LIMIT_S) -> None:
        """Waits until the node has a working link to each of ``others``, by name."""
        what = f"{self.name} has links to {len(others)} other nodes"
        wait_until(lambda: others <= self.peers_up(), limit_s, what, poll_s=POLL_S)

    def wait_logged(self, text: str, limit_s: float = READY_LIMIT_S, *, times: int = 1) -> None:
        """Waits until its log of this run has ``text``: a thread writes it, a moment after ``status`` has it."""
        what = f"{self.name} has logged {text!r}"
        wait_until(lambda: self.log_of_run().count(text) >= times, limit_s, what, poll_s=POLL_S)

    @property
    def resident_bytes(self) -> int:
        """The memory it occupies now (proc_pid_status(5), VmRSS)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kib) * 1024

    def describe(self) -> str:
        """Its tables now, if it runs, and the last of its log: for the report of a test that failed."""
        verbs = (["status"], ["peers"], ["groups"], ["hosts"], ["bridge", "show"]) if self.running else ()
        answers = [
            self.machine.run([PROGRAM, *verb, self.directory], check=False, limit_s=VERB_LIMIT_S) for verb in verbs
        ]
        return "\n".join([*(done.stdout or done.stderr for done in answers), self.log_tail()])

    def log_tail(self) -> str:
        """The last of what it wrote to stderr."""
        return (
            self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARACTERS:] if self.log.exists() else ""
        )

    def log_of_run(self) -> str:
        """All that it wrote to stderr since it was started last."""
        written = self.log.read_bytes() if self.log.exists() else b""
        return written[self._log_before_bytes :].decode(errors="replace")


class Overlay:
    """A network with one node on each machine; the first is the only one the others know at their start."""

    def __init__(self, machines: Sequence[Machine], directory: Path) -> None:
        """Makes the network and the nodes' keys in ``directory``; nothing runs yet."""
        self.directory = directory
        self.network = create_network(directory / "network")
        self.nodes = tuple(TreecastNode.add(machine, self.network, directory) for machine in machines)

    def __getitem__(self, index: int) -> TreecastNode:
        return self.nodes[index]

    def __len__(self) -> int:
        return len(self.nodes)

    def start(self, limit_s: float = START_LIMIT_S, options: Sequence[str] = ()) -> None:
        """Starts all nodes at once and waits until every one is ready and has a link to every other."""
        first, *others = self.nodes
        first.start(options=options)
        for node in others:
            node.start(first.endpoint, options=options)
        for node in self.nodes:
            node.wait_ready(limit_s)
        self.wait_linked(limit_s)

    def wait_linked(self, limit_s: float = READY_LIMIT_S) -> None:
        """Waits until each running node has a working link to each other one."""
        running = [node for node in self.nodes if node.running]
        for node in running:
            node.wait_linked({other.name for other in running} - {node.name}, limit_s)

    def stop(self) -> None:
        """Stops the nodes that run. RuntimeError or TimeoutError for one that does not end well."""
        for node in self.nodes:
            if node.running:
                node.stop()
