"""Settings and fixtures of the daemon's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _a_log_of_its_own() -> Iterator[None]:
    """A test that configures the log leaves it as it was: its stderr is gone with it."""
    yield
    structlog.reset_defaults()
