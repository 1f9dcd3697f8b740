"""Command lines that are none: one sentence about what is wrong and what to give instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""The error of whichever click typer has: all wrong command lines are one."""


def is_help(error: Any) -> bool:
    """Whether no words were given, and the help is shown for it."""
    return type(error).show is not UsageError.show


def command_path(group: Any, words: Sequence[str]) -> str:
    """The verb that a command line names, as a person types it, as far as ``words`` lead to one."""
    path, found = "treecast", group
    for word in words:
        found = getattr(found, "commands", {}).get(word)
        if found is None:
            break
        path += f" {word}"
    return path


def sentence(error: Any, verb: str) -> str:
    """One sentence: the fault of a command line, and what to do. ``verb``: its command path, for errors without one."""
    said: str = error.format_message().rstrip(".")
    parameter: Any = getattr(error, "param", None)
    number = _number(getattr(parameter, "type", None))
    given, no_number, _ = error.message.partition(" is not ")
    if number and no_number:
        name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.human_readable_name
        return f"{name}: {given} is none of its values: give {number}"
    where = error.ctx.command_path if error.ctx is not None else verb
    said = said[:1].lower() + said[1:].replace(". Did you mean", ", did you mean")
    return f"{said}{'' if said.endswith('?') else ':'} {where} -h shows what it takes"


def _number(kind: Any) -> str:
    """The numbers that a parameter takes; empty where it takes none."""
    name = getattr(kind, "name", "")
    if not name.startswith(("int", "float")):
        return ""
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    what = "a whole number" if name.startswith("int") else "a number"
    if least is None:
        return what
    return f"{what} from {least} on" if most is None else f"{what} from {least} to {most}"
