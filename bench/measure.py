"""One measurement of one side each: a number, and what it was made of."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from bench.search import Found, Trial, highest_rate
from bench.sides import Side
from lab.load import Latency, Received, Receiver, Sender, merge_latencies
from lab.machine import Machine
from lab.waiting import wait_until

GROUP = "239.9.9.9"
PORT = 5009
DATAGRAM_BYTES = 1200
LATENCY_RATE_PPS = 1000
WARM_UP_RATE_PPS = 200
JOIN_LIMIT_S = 20.0
SERVER_LIMIT_S = 10.0
GRACE_S = 10.0
STILL_POLL_S = 0.15  # nothing came for so long: the rest is lost


@dataclass(frozen=True, slots=True)
class Subscribers:
    """Receivers that have joined a group on one side, and get its frames."""

    side: Side
    source: Machine
    receivers: tuple[Receiver, ...]

    def send(self, stream: int, rate_pps: int | None, duration_s: float | None, together: int = 1) -> Sender:
        return Sender(
            self.source,
            GROUP,
            PORT,
            interface=self.side.interface(self.source),
            size_bytes=DATAGRAM_BYTES,
            rate_pps=rate_pps,
            duration_s=duration_s,
            stream=stream,
            together=together,
        )

    def snapshots(self) -> list[Received]:
        return [receiver.snapshot() for receiver in self.receivers]

    def settled(self) -> list[Received]:
        """The receivers' accounts once nothing more comes."""
        seen = [-1] * len(self.receivers)

        def nothing_new() -> list[Received]:
            nonlocal seen
            before, now = seen, self.snapshots()
            seen = [received.received for received in now]
            return now if seen == before else []

        return wait_until(nothing_new, GRACE_S, "the last datagrams have come", poll_s=STILL_POLL_S)

    def stop(self) -> None:
        for receiver in self.receivers:
            receiver.stop()


def subscribe(side: Side, source: Machine, machines: Sequence[Machine]) -> Subscribers:
    """Joins on each machine, and returns when each gets what the source sends."""
    side.prepare(machines)
    receivers = tuple(Receiver(own, GROUP, PORT, interface=side.interface(own)) for own in machines)
    subscribers = Subscribers(side, source, receivers)
    warm_up = subscribers.send(0, WARM_UP_RATE_PPS, None)
    wait_until(
        lambda: all(received.received for received in subscribers.snapshots()),
        JOIN_LIMIT_S,
        f"all {len(machines)} subscribers of {side.name} get the stream",
        poll_s=STILL_POLL_S,
    )
    warm_up.stop()
    return subscribers


def multicast_rate(
    side: Side, machines: Sequence[Machine], guess_pps: float | None, trial_s: float, most_trials: int
) -> Found:
    """Datagrams per second delivered to every subscriber (all machines but the first) with at most 0.1 % loss."""
    source, *others = machines
    subscribers = subscribe(side, source, others)
    run = _trials(subscribers, trial_s)
    try:
        return highest_rate(run, guess_pps, most_trials)
    finally:
        subscribers.stop()


def _trials(subscribers: Subscribers, trial_s: float) -> Callable[[int | None], Trial]:
    streams = count(1)

    def run(wanted_pps: int | None) -> Trial:
        stream = next(streams)
        drops = sum(received.socket_drops for received in subscribers.snapshots())
        sent = subscribers.send(stream, wanted_pps, trial_s).wait(trial_s + GRACE_S)
        after = subscribers.settled()
        entries = [received.of(stream) for received in after]
        return Trial(
            wanted_pps=wanted_pps,
            sent_pps=sent.rate_pps,
            sent=sent.sent,
            received_least=min(entry.received if entry else 0 for entry in entries),
            socket_drops=sum(received.socket_drops for received in after) - drops,
        )

    return run


def multicast_latency(side: Side, machines: Sequence[Machine], duration_s: float) -> Latency:
    """One way, from the source's sendmmsg to the program's recvmmsg, all subscribers' datagrams together."""
    source, *others = machines
    subscribers = subscribe(side, source, others)
    try:
        subscribers.send(1, LATENCY_RATE_PPS, duration_s).wait(duration_s + GRACE_S)
        entries = [received.of(1) for received in subscribers.settled()]
        return merge_latencies([entry.latency for entry in entries if entry])
    finally:
        subscribers.stop()


def unicast_latency(side: Side, machines: Sequence[Machine], duration_s: float) -> Latency:
    """The same of a unicast stream to the second machine: what the machines and programs cost without an overlay."""
    source, receiving = machines[:2]
    receiver = Receiver(receiving, side.ipv4(receiving), PORT)
    try:
        sender = Sender(
            source,
            side.ipv4(receiving),
            PORT,
            size_bytes=DATAGRAM_BYTES,
            rate_pps=LATENCY_RATE_PPS,
            duration_s=duration_s,
        )
        sent = sender.wait(duration_s + GRACE_S).sent
        wait_until(
            lambda: receiver.snapshot().received >= sent, GRACE_S, "all datagrams have come", poll_s=STILL_POLL_S
        )
        return merge_latencies([stream.latency for stream in receiver.snapshot().streams])
    finally:
        receiver.stop()


def tcp_bps(side: Side, client: Machine, server: Machine, duration_s: int) -> float:
    """Bits per second that one TCP flow has delivered (iperf3, as the receiver counts)."""
    side.prepare([server])
    address = side.ipv4(server)
    listener = server.spawn(
        ["iperf3", "--server", "--one-off", "--forceflush", "--bind", address], stdout=subprocess.PIPE
    )
    try:
        while "listening" not in listener.read_line(SERVER_LIMIT_S):
            pass
        command = ["iperf3", "--client", address, "--time", str(duration_s), "--json"]
        answer = json.loads(client.run(command, limit_s=duration_s + 2 * GRACE_S).stdout)
        return float(answer["end"]["sum_received"]["bits_per_second"])
    finally:
        listener.kill()
