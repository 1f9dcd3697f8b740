"""``--on-demand NAME=VALUE``: what makes links on demand, and what ends them."""

from __future__ import annotations

import re
from dataclasses import replace

from treecast.base.errors import OptionError
from treecast.base.on_demand import MOST_ON_DEMAND, OnDemandConfig
from treecast.cli.rates import HIGHEST_UPLINK_BPS, rate_bps

NAMES = ("above", "for", "volume", "below", "idle", "links")
LOWEST_RATE_BPS = 1_000
SHORTEST_S, LONGEST_S = 1, 86_400

_TIME = re.compile(r"(\d{1,6})(s|min)?", re.ASCII)
_VOLUME = re.compile(r"(\d{1,6})(k|m|g)b", re.ASCII | re.IGNORECASE)
_POWERS = {"k": 10**3, "m": 10**6, "g": 10**9}


def on_demand_config(texts: list[str], max_links: int | None) -> OnDemandConfig:
    """The defaults with what was typed. OptionError with a sentence for a name, a value or a range that is wrong."""
    if texts and max_links is None:
        raise OptionError("--on-demand is for a node with --max-links: without that it is linked with all others")
    config = OnDemandConfig()
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or name not in NAMES:
            raise OptionError(f"--on-demand {text!r}: give NAME=VALUE with one of these names: {', '.join(NAMES)}")
        config = _with(config, name, value)
    if config.below_bps > config.above_bps:
        raise OptionError("--on-demand below is a higher rate than above: a link would end as it comes up")
    return config


def _with(config: OnDemandConfig, name: str, value: str) -> OnDemandConfig:
    match name:
        case "above":
            return replace(config, above_bps=_rate(name, value))
        case "below":
            return replace(config, below_bps=_rate(name, value))
        case "for":
            return replace(config, above_for=_seconds(name, value))
        case "idle":
            return replace(config, below_for=_seconds(name, value))
        case "volume":
            return replace(config, volume_bytes=_bytes(name, value))
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and int(value) <= MOST_ON_DEMAND):
        raise OptionError(f"--on-demand {name}={value}: give a number from 0, for none, to {MOST_ON_DEMAND}")
    return replace(config, links=int(value))


def _rate(name: str, value: str) -> int:
    bits_per_second = rate_bps(value)
    if not LOWEST_RATE_BPS <= bits_per_second <= HIGHEST_UPLINK_BPS:
        raise OptionError(f"--on-demand {name}={value}: give a rate from 1kbit to 100gbit")
    return bits_per_second


def _seconds(name: str, value: str) -> float:
    parts = _TIME.fullmatch(value)
    seconds = int(parts[1]) * (60 if parts[2] == "min" else 1) if parts is not None else 0
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise OptionError(f"--on-demand {name}={value}: give a time from 1s to 1440min")
    return float(seconds)


def _bytes(name: str, value: str) -> int:
    parts = _VOLUME.fullmatch(value)
    if parts is None or not int(parts[1]):
        raise OptionError(f"--on-demand {name}={value}: give what goes within a minute, like 10mb or 500kb")
    return int(parts[1]) * _POWERS[parts[2].lower()]
