"""Settings and fixtures of all tests."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# How long an example takes on cores that others use too says nothing.
settings.register_profile("shared cores", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if settings.get_current_profile_name() == "default":
    settings.load_profile("shared cores")


def pytest_configure() -> None:
    """Programs that a test starts and interrupts heed SIGINT, also where this run was begun with it ignored; and tables
    are as wide as their test says, whatever the terminal of this run.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("COLUMNS", None)
