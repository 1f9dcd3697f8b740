"""Notifications to systemd about the service (sd_notify(3)): one datagram, not worth a library."""

from __future__ import annotations

import os
import socket

_FLAGS = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
"""A service manager that does not read holds up nothing here."""


def is_listening() -> bool:
    """Whether systemd wants notifications."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watchdog_interval_s() -> float | None:
    """The time within which the next ``WATCHDOG=1`` must follow (sd_watchdog_enabled(3)); None: it is not wanted."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        interval_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return interval_us / 1e6 if interval_us > 0 else None


def notify(state: str) -> None:
    """Send ``state`` (``READY=1``, ``STOPPING=1``, ``WATCHDOG=1``) when systemd wants it; nothing otherwise."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | _FLAGS) as notifier:
        try:
            notifier.connect(address)
            notifier.send(state.encode())
        except OSError:
            return  # nobody receives: the service manager's matter, not the node's
