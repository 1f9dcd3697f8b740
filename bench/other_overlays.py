"""Other overlays in user space, for the one thing they have in common with Treecast: a TCP flow between two machines.

Each is set up as its manual shows, with its default encryption, and left out where its program is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Protocol

from lab.machine import Machine
from lab.process import Process
from lab.waiting import wait_until

START_LIMIT_S = 30.0
TINC_PORT, SUPERNODE_PORT, WIREGUARD_PORT = 7655, 7656, 7657


class Program(Protocol):
    """A program of this kind: how it differs from the others. Machines are numbered from 1."""

    @property
    def name(self) -> str: ...

    @property
    def programs(self) -> Sequence[str]: ...

    def interface(self, number: int) -> str: ...

    def start(self, machines: Sequence[Machine], directory: Path) -> list[Process]: ...


def address(number: int) -> str:
    return f"10.66.0.{number}"


class Tinc:
    name = "tinc"
    programs = ("tincd",)

    def interface(self, number: int) -> str:
        return "tinc0"

    def start(self, machines: Sequence[Machine], directory: Path) -> list[Process]:
        for number, machine in enumerate(machines, 1):
            own = directory / machine.name
            (own / "hosts").mkdir(parents=True)
            settings = f"Name = {machine.name}\nMode = switch\nDeviceType = tap\nInterface = {self.interface(number)}\n"
            if number > 1:
                settings += f"ConnectTo = {machines[0].name}\n"
            (own / "tinc.conf").write_text(settings, encoding="ascii")
            own_host = f"Address = {machine.underlay_ipv4}\nPort = {TINC_PORT}\n"
            (own / "hosts" / machine.name).write_text(own_host, encoding="ascii")
            up = own / "tinc-up"
            up.write_text(
                f'#!/bin/sh\nip link set "$INTERFACE" up\nip addr add {address(number)}/24 dev "$INTERFACE"\n'
            )
            up.chmod(0o755)
            machine.run(["tincd", "-c", own, "-K2048"])
        for one, other in permutations(machines, 2):
            shutil.copy(directory / other.name / "hosts" / other.name, directory / one.name / "hosts")
        return [
            _quiet(
                machine, ["tincd", "-D", "-c", directory / machine.name, f"--pidfile={directory / machine.name}.pid"]
            )
            for machine in machines
        ]


class N2n:
    name = "n2n"
    programs = ("edge", "supernode")

    def interface(self, number: int) -> str:
        return "edge0"

    def start(self, machines: Sequence[Machine], directory: Path) -> list[Process]:
        meeting = f"{machines[0].underlay_ipv4}:{SUPERNODE_PORT}"
        running = [_quiet(machines[0], ["supernode", "-l", str(SUPERNODE_PORT)])]
        for number, machine in enumerate(machines, 1):
            words = [
                "edge",
                "-d",
                self.interface(number),
                "-a",
                address(number),
                "-c",
                "bench",
                "-k",
                "bench",
                "-l",
                meeting,
            ]
            running.append(_quiet(machine, words))
        return running


class WireguardGo:
    name = "wireguard-go"
    programs = ("wireguard-go", "wg")

    def interface(self, number: int) -> str:
        """Each its own: they meet in /var/run/wireguard, which all machines of a lab share."""
        return f"wgbench{number}"

    def start(self, machines: Sequence[Machine], directory: Path) -> list[Process]:
        names = [self.interface(number) for number, _ in enumerate(machines, 1)]
        running = [
            _quiet(machine, ["wireguard-go", "-f", name], env={"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"})
            for machine, name in zip(machines, names, strict=True)
        ]
        private = [machine.run(["wg", "genkey"]).stdout for machine in machines]
        public = [
            machine.run(["wg", "pubkey"], stdin=own).stdout.strip()
            for machine, own in zip(machines, private, strict=True)
        ]
        directory.mkdir(parents=True)
        for number, (machine, name) in enumerate(zip(machines, names, strict=True), 1):
            secret = directory / f"{machine.name}.key"
            secret.write_text(private[number - 1], encoding="ascii")
            secret.chmod(0o600)
            words = ["wg", "set", name, "listen-port", str(WIREGUARD_PORT), "private-key", str(secret)]
            for other, (peer, its_key) in enumerate(zip(machines, public, strict=True), 1):
                if other != number:
                    words += ["peer", its_key, "allowed-ips", f"{address(other)}/32"]
                    words += ["endpoint", f"{peer.underlay_ipv4}:{WIREGUARD_PORT}"]
            socket = Path(f"/var/run/wireguard/{name}.sock")
            wait_until(socket.exists, START_LIMIT_S, f"{name} listens for its settings")
            machine.run(words)
            machine.run(["ip", "link", "set", name, "up"])
            machine.run(["ip", "addr", "add", f"{address(number)}/24", "dev", name])
        return running


PROGRAMS: tuple[Program, ...] = (Tinc(), N2n(), WireguardGo())


class OtherOverlay:
    """One of them between machines, running: a ``bench.sides.Side`` for unicast."""

    def __init__(self, program: Program, machines: Sequence[Machine], directory: Path) -> None:
        """TimeoutError when the machines do not reach each other through it."""
        self.name = program.name
        self._interface = program.interface
        self._numbers = {machine.name: number for number, machine in enumerate(machines, 1)}
        self._running = program.start(machines, directory / program.name)
        first, second = machines[:2]
        ping = ["ping", "-c", "1", "-W", "1", self.ipv4(second)]
        what = f"{self.name} connects"
        wait_until(lambda: first.run(ping, check=False).returncode == 0, START_LIMIT_S, what, poll_s=0.2)

    def interface(self, machine: Machine) -> str:
        return self._interface(self._numbers[machine.name])

    def ipv4(self, machine: Machine) -> str:
        return address(self._numbers[machine.name])

    def prepare(self, subscribers: Sequence[Machine]) -> None:
        """Nothing: it connects all."""

    def describe(self) -> str:
        return f"{self.name}, user space, encrypted, default settings"

    def stop(self) -> None:
        for process in self._running:
            process.kill()


def installed() -> list[Program]:
    return [own for own in PROGRAMS if all(shutil.which(program) for program in own.programs)]


def _quiet(machine: Machine, words: Sequence[str | Path], env: dict[str, str] | None = None) -> Process:
    return machine.spawn(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
