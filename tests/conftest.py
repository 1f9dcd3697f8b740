"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Programs that a test starts and interrupts heed SIGINT, also where this run was begun with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
