"""Output of verbs: for scripts, of errors, and when it cannot be written."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treecast.adapters.standard_streams import STDERR, STDOUT, lead_nowhere

if TYPE_CHECKING:
    import msgspec

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def print_json(answer: msgspec.Struct | list[Any]) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2))


def print_error(sentence: str) -> None:
    """Prints on stderr; where that cannot be written, the exit code is all that is left."""
    try:
        typer.echo(f"treecast: {sentence}", err=True)
    except OSError:
        lead_nowhere(STDERR)


def print_note(sentence: str) -> None:
    """Prints on stderr, of a verb that goes on; nothing where there is none."""
    if sentence:
        print_error(sentence)


@contextmanager
def all_is_written() -> Iterator[None]:
    """Print all of the output, or one sentence and exit with 1."""
    before, raw = sys.stdout, _Stdout(STDOUT, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), before.encoding, before.errors, line_buffering=before.isatty()
    )
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error is not raw.refusal:
            raise
        lead_nowhere(STDOUT)
        if error.errno != errno.EPIPE:
            reason = (error.strerror or str(error)).lower()
            print_error(f"the output could not be written ({reason}): send it somewhere else, or free some space there")
        raise SystemExit(1) from None


class _Stdout(io.FileIO):
    """Remembers the error by which it refused something."""

    refusal: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.refusal = error
            raise
