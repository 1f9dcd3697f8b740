"""The kinds of error: the bytes were bad, or the operator can fix it. A bug is any other exception."""

from __future__ import annotations


class MalformedError(ValueError):
    """Bytes that are not what they should be. ``reason`` names the drop counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OperatorError(Exception):
    """Something the operator can fix. Its text is one sentence with what to do."""

    exit_code = 1


class OptionError(OperatorError):
    """A word of an option is none of its values."""

    exit_code = 2


class IdentityTakenError(OperatorError):
    """This node's identity is another machine's: a service manager must not start it again (docs/operations.md).

    ``older_at``: the endpoints of the run that was there first; empty where it is the certificate that is replaced.
    """

    exit_code = 3

    def __init__(self, sentence: str, older_at: str = "") -> None:
        super().__init__(sentence)
        self.older_at = older_at
