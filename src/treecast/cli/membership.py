"""``--membership NAME=VALUE``: the timers and limits of IGMP and MLD, by the names of ``MembershipConfig``."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from treecast.base.errors import OperatorError
from treecast.multicast import MembershipConfig

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min)?", re.ASCII)
_SECONDS = {"ms": 0.001, None: 1, "s": 1, "min": 60}
_SWITCH = {"on": True, "off": False}


def membership_config(texts: list[str]) -> MembershipConfig:
    """The defaults with what was typed. OperatorError with a sentence for a name, value or range that is wrong."""
    chosen: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        key = name.strip().replace("-", "_")
        if not separator or key not in _TYPES:
            raise OperatorError(f"--membership {text!r}: give NAME=VALUE with one of these names: {', '.join(NAMES)}")
        chosen[key] = _value(name.strip(), _TYPES[key], value.strip())
    try:
        return MembershipConfig(**chosen)
    except ValueError as error:
        raise OperatorError(f"--membership: {str(error).replace('_', '-')}") from None


def _value(name: str, kind: str, text: str) -> float | int | bool | None:
    if "None" in kind and text == "default":
        return None
    if "bool" in kind:
        if text not in _SWITCH:
            raise OperatorError(f"--membership {name}: say on or off, not {text!r}")
        return _SWITCH[text]
    if "Duration" in kind:
        parts = _DURATION.fullmatch(text)
        if parts is None:
            raise OperatorError(f"--membership {name}: give a time like 125, 10s or 500ms, not {text!r}")
        return float(parts[1]) * _SECONDS[parts[2]]
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise OperatorError(f"--membership {name}: give a whole number, not {text!r}")
    return int(text)


_TYPES = {field.name: str(field.type) for field in fields(MembershipConfig)}
NAMES = tuple(name.replace("_", "-") for name in _TYPES)
