"""Settings and fixtures of all tests."""

from __future__ import annotations

import os
import signal


def pytest_configure() -> None:
    """Programs that a test starts and interrupts heed SIGINT, also where this run was begun with it ignored; and tables
    are as wide as their test says, whatever the terminal of this run.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("COLUMNS", None)
