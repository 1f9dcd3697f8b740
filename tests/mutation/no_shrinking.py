"""A pytest plugin: a failing example is enough, nobody reads the smallest one; and the same ones each time."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("mutation", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None)
settings.load_profile("mutation")
