"""A node's processes, as /proc shows them: nobody looks into them, they gain nothing, and may be an account's own."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lab import Lab, wait_until
from lab.lan import Lan
from lab.load import Receiver, Sender
from lab.machine import Machine
from lab.node import INTERFACE, PROGRAM, Overlay, TreecastNode
from lab.sites import verb
from tests.lab.overlay.asking import LIMIT_S, wait_members, wait_received
from treecast.api.client import fetch_bridge

GROUP, PORT = "239.51.0.1", 5051
ACCOUNT = "nobody"
NET_ADMIN = 1 << 12
ROOT = Path(__file__).parents[3]


def processes(node: TreecastNode) -> dict[str, int]:
    """The daemon and its keeper."""
    pid = node.process.pid
    (keeper,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return {"daemon": pid, "keeper": int(keeper)}


def threads(pid: int, field: str) -> set[str]:
    """The values of a field of /proc/PID/status, of all threads."""
    found = set()
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        lines = status.read_text(encoding="ascii").splitlines()
        found |= {" ".join(line.split()[1:]) for line in lines if line.startswith(f"{field}:")}
    return found


def without_capabilities(account: str) -> list[str]:
    """The beginning of a command line: what it runs is the account's."""
    return ["setpriv", f"--reuid={account}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--"]


def can_look_into(machine: Machine, pid: int, account: str) -> bool:
    """Whether a program of the account, without capabilities, reads the environment of a process."""
    command = [*without_capabilities(account), "head", "-c1", f"/proc/{pid}/environ"]
    return machine.run(command, check=False).returncode == 0


def sockets(pid: int) -> set[str]:
    """The sockets that a process has open, as /proc/PID/fd names them."""
    links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if link.startswith("socket:")}


def kernel_sockets(pid: int) -> set[str]:
    """The netlink sockets of a process's network namespace, named in the same way."""
    _, *rows = Path(f"/proc/{pid}/net/netlink").read_text(encoding="ascii").splitlines()
    return {f"socket:[{row.split()[-1]}]" for row in rows}


def is_kept_to_itself(node: TreecastNode, account: str) -> None:
    """Asserts what holds for both processes, whose account they are or not."""
    uid = pwd.getpwnam(account).pw_uid
    for name, pid in processes(node).items():
        assert threads(pid, "Uid") == {f"{uid} {uid} {uid} {uid}"}, name
        assert threads(pid, "NoNewPrivs") == {"1"}, name
        assert threads(pid, "Seccomp") == {"2"}, name
        capabilities = NET_ADMIN if name == "keeper" else 0
        assert threads(pid, "CapEff") == threads(pid, "CapPrm") == {f"{capabilities:016x}"}, name
        assert threads(pid, "CapBnd") == {f"{0:016x}"}, name
        assert threads(pid, "CapInh") == threads(pid, "CapAmb") == {f"{0:016x}"}, name
        limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
        assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]]
        assert not can_look_into(node.machine, pid, account), name
    keeper, daemon = (processes(node)[name] for name in ("keeper", "daemon"))
    assert sockets(keeper) and sockets(keeper) <= kernel_sockets(keeper)
    assert not sockets(keeper) & sockets(daemon) and sockets(daemon) - kernel_sockets(daemon)


def with_open_ways(places: Sequence[Path]) -> list[str]:
    """The beginning of a command line: what it runs sees these directories, and nothing else, in one that is closed to
    other accounts, as the home of root is. The mounts end with it.
    """
    closed = [parent for place in places for parent in place.parents if not parent.stat().st_mode & 0o001]
    lines = ["mount -t tmpfs none /mnt"] if closed else []
    lines += [f"mkdir /mnt/{n}; mount --bind {place} /mnt/{n}" for n, place in enumerate(places) if closed]
    lines += [f"mount -t tmpfs -o mode=711 none {parent}" for parent in dict.fromkeys(closed)]
    lines += [f"mkdir -p {place}; mount --bind /mnt/{n} {place}" for n, place in enumerate(places) if closed]
    return ["sh", "-ec", "\n".join([*lines, 'exec "$@"']), "sh"]


def test_no_process_of_a_node_can_be_looked_into_or_leaves_a_core_file_or_gains_privileges(lab: Lab) -> None:
    net = Overlay([lab.machine("n0", lab.switch())], lab.directory)
    net.start()
    same = net[0].machine.spawn([*without_capabilities("root"), "sleep", "60"])
    wait_until(lambda: can_look_into(net[0].machine, same.pid, "root"), LIMIT_S, "others can be looked into")
    is_kept_to_itself(net[0], "root")
    net.stop()


def test_a_node_under_an_account_of_its_own_does_all_that_a_node_does(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(2)]
    net = Overlay(machines, lab.directory)
    site = Lan(lab, 1, hosts=1)
    bridged = site.connect(lab, machines[1])
    one, own = net.nodes
    one.start()

    refused = machines[1].run([PROGRAM, "up", own.directory, "--user", ACCOUNT], check=False)
    sentence = (
        f"{own.directory} belongs to root, and the node is to run as {ACCOUNT}: chown -R {ACCOUNT}: {own.directory}"
    )
    assert (refused.returncode, refused.stderr) == (1, f"treecast: {sentence}\n")
    for path in (own.directory, *own.directory.iterdir()):
        shutil.chown(path, ACCOUNT)
    refused = machines[1].run([PROGRAM, "up", own.directory], check=False)
    advice = f"treecast up {own.directory} --user {ACCOUNT}, or chown -R root: {own.directory}"
    sentence = f"{own.directory} belongs to {ACCOUNT}, and the node is to run as root: {advice}"
    assert (refused.returncode, refused.stderr) == (1, f"treecast: {sentence}\n")
    refused = machines[1].run([PROGRAM, "up", own.directory, "--user", ACCOUNT], check=False)
    assert (refused.returncode, f"{lab.directory} is closed to {ACCOUNT}" in refused.stderr) == (1, True)
    lab.directory.chmod(0o711)
    own.program = [*with_open_ways([Path(sys.base_prefix), ROOT]), PROGRAM]

    own.start(one.endpoint, options=["--user", ACCOUNT])
    for node in net.nodes:
        node.wait_ready()
    net.wait_linked()
    is_kept_to_itself(own, ACCOUNT)
    assert f"account {ACCOUNT}" in own.status().on

    machines[1].run(["ip", "address", "del", f"{own.ipv4}/16", "dev", INTERFACE])
    wait_until(lambda: own.ipv4 in addresses(machines[1]), LIMIT_S, "its keeper puts back an address")
    for words in ((), ("--packet",)):
        verb(own, "add", bridged, *words)
        wait_until(partial(is_carried, own, packet=bool(words)), LIMIT_S, "the LAN is carried")
        receiver = Receiver(site.hosts[0], GROUP, PORT, interface="eth0")
        wait_members(one, GROUP, {"n1"})
        Sender(one.machine, GROUP, PORT, interface=INTERFACE, rate_pps=500, count=200).wait(LIMIT_S)
        wait_received(receiver, 200)
        assert receiver.stop().received == 200
        verb(own, "remove", bridged)
        wait_members(one, GROUP, set())

    for end in (own.stop, own.kill):
        end()
        owner = pwd.getpwnam(ACCOUNT).pw_uid
        assert {path.stat().st_uid for path in own.directory.iterdir()} <= {owner, os.getuid()}
        own.start(options=["--user", ACCOUNT])  # without --peer: it remembers
        own.wait_ready()
        own.wait_linked({"n0"})
    assert [problem.kind for problem in own.status().problems] == []
    net.stop()


def addresses(machine: Machine) -> str:
    return machine.run(["ip", "address", "show", "dev", INTERFACE]).stdout


def is_carried(node: TreecastNode, *, packet: bool) -> bool:
    bridge = fetch_bridge(node.directory)
    return [port.state for port in bridge.packet_ports] == ["forwarding"] if packet else bridge.state == "forwarding"
