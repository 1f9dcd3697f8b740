"""Packets and bytes of an interface so far, as the kernel counts them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """Frames and bytes (link-layer headers included) an interface has received and sent."""

    rx_bytes: int
    rx_packets: int
    tx_bytes: int
    tx_packets: int

    def __sub__(self, earlier: Counters) -> Counters:
        """Packets and bytes since ``earlier``."""
        return Counters(
            self.rx_bytes - earlier.rx_bytes,
            self.rx_packets - earlier.rx_packets,
            self.tx_bytes - earlier.tx_bytes,
            self.tx_packets - earlier.tx_packets,
        )


def parse_net_dev(text: str, interface: str) -> Counters:
    """One interface's row of /proc/net/dev (proc_net(5)): 8 receive columns, then 8 transmit columns.

    KeyError when the interface is not there.
    """
    for line in text.splitlines():
        name, separator, columns = line.partition(":")
        if separator and name.strip() == interface:
            values = [int(value) for value in columns.split()]
            return Counters(rx_bytes=values[0], rx_packets=values[1], tx_bytes=values[8], tx_packets=values[9])
    raise KeyError(interface)
