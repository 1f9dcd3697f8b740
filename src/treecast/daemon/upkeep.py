"""Upkeep of a running node: its log, its faults, its problems, its background tasks, its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from treecast.daemon import logs
from treecast.daemon.ending import Ending
from treecast.daemon.faults import FaultLog
from treecast.daemon.log_lines import Log
from treecast.daemon.network_changes import NetworkChanges
from treecast.daemon.problems import Problems
from treecast.daemon.supervision import Supervision
from treecast.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Shared by the parts of the daemon."""

    log: Log
    faults: FaultLog
    problems: Problems
    supervision: Supervision
    ending: Ending
    network: NetworkChanges

    @classmethod
    def of(cls, engine: Engine, log: Log) -> Upkeep:
        """The upkeep of a node with this engine."""
        faults = FaultLog(engine.drops, log)
        problems = Problems(log, faults)
        supervision = Supervision(faults, log)
        for source in (engine.problems, faults.problems, supervision.problems, partial(logs.problems, engine.drops)):
            problems.add_source(source)
        return cls(log, faults, problems, supervision, Ending(), NetworkChanges())
