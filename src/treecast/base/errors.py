"""The kinds of error: the bytes were bad, or the operator can fix it. A bug is any other exception."""

from __future__ import annotations


class MalformedError(ValueError):
    """Bytes that are not what they should be. ``reason`` names the drop counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OperatorError(Exception):
    """Something the operator can fix. Its text is one sentence with what to do."""
