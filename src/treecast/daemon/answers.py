"""Answers of a running node to its owner: the engine's state and the data plane's numbers, as records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from treecast import __version__
from treecast.adapters import clock
from treecast.adapters.native import DataPlane
from treecast.api.records import GROUPS_SHOWN, Answer, Problem, Rows, Status, Verb
from treecast.base.time import Instant, iso_date
from treecast.daemon import logs
from treecast.daemon.bridging import Bridging
from treecast.daemon.group_answers import GroupAnswers
from treecast.daemon.host_answers import host_answers
from treecast.daemon.peer_answers import peer_answers
from treecast.daemon.problems import Problems
from treecast.engine.view import View
from treecast.identity.node import NodeIdentity


class Answers:
    """Answers by verb. Each is made for its request."""

    def __init__(
        self,
        identity: NodeIdentity,
        view: View,
        plane: DataPlane,
        bridging: Bridging,
        problems: Problems,
        take_revocations: Callable[[], None],
        *,
        ipv6: bool,
        on: Callable[[str, str], list[str]],
        started_at: Instant,
    ) -> None:
        """``take_revocations``: reads them from the directory. ``on``: the options in force, for the names that the
        interface and its bridge, if any, have now.
        """
        self._take_revocations = take_revocations
        self._identity = identity
        self._view = view
        self._plane = plane
        self._bridging = bridging
        self._problems = problems
        self._ipv6 = ipv6
        self._on = on
        self._started_at = started_at

    def __call__(self, verb: Verb) -> Answer | Rows:
        match verb:
            case Verb.STATUS:
                return self._status()
            case Verb.PEERS:
                return peer_answers(self._view, self._plane, clock.monotonic())
            case Verb.GROUPS | Verb.GROUP_CHANGES:  # who follows is answered by ``group_followers``
                return self._groups().groups()
            case Verb.SOME_GROUPS:
                return self._groups().some(GROUPS_SHOWN)
            case Verb.TRACE | Verb.WHY:
                raise ValueError("trace_answers has requests about something")
            case Verb.HOSTS:
                return host_answers(self._view, self._bridging.lan_addresses, clock.monotonic())
            case Verb.BRIDGE:
                return self._bridging.answer()
            case Verb.BRIDGE_CHANGED:
                self._bridging.reread()
                return self._bridging.answer()
            case Verb.REVOCATIONS_CHANGED:
                self._take_revocations()
                return self._status()
            case Verb.LOG_DEBUG | Verb.LOG_INFO | Verb.LOG_WARNING | Verb.LOG_ERROR:
                logs.change_level(verb.value.removeprefix("log_"))
                return self._status()

    def _groups(self) -> GroupAnswers:
        return GroupAnswers(self._view, self._plane, self._bridging.port_names(), clock.monotonic())

    def _status(self) -> Status:
        own = self._identity.certificate
        certificate, interface = self._view.certificate(own.node_index) or own, self._plane.interface
        now = clock.monotonic()
        drops = Counter(self._plane.drops())
        drops.update(self._view.drops())
        return Status(
            node=certificate.name,
            node_id=str(certificate.node_id),
            network=self._identity.network.name,
            interface=interface,
            ipv4=str(certificate.ipv4.ip) if certificate.ipv4 else "",
            ipv6=str(certificate.ipv6.ip) if certificate.ipv6 and self._ipv6 else "",
            uptime_s=_age(now, self._started_at),
            peers=len(self._view.links()),
            counters=self._plane.counters() | self._view.counters(),
            drops=dict(sorted(drops.items())),
            listening=[str(endpoint) for endpoint in self._plane.listening],
            workers=self._plane.workers,
            offloads=self._plane.offloads,
            unreached=self._view.unreached(),
            queriers=self._groups().queriers(),
            problems=[
                Problem(p.problem.kind, p.problem.subject, p.problem.text, _age(now, p.since))
                for p in self._problems.present()
            ],
            valid_from=iso_date(certificate.not_before_s),
            valid_until=iso_date(certificate.not_after_s),
            version=__version__,
            on=self._on(interface, self._bridging.bridge),
            revoked=[name for _, name in self._view.revoked()],
            log_level=logs.present_level(),
            children=self._view.children(),
            groups_of_others=self._view.groups_of_others(),
        )


def _age(now: Instant, then: Instant) -> float:
    return round(now - then, 3)
