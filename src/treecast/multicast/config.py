"""The timers and counters of RFC 9776 section 8 (RFC 9777 section 9), with defaults and ranges, and the table sizes."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.time import Duration

MAX_QUERY_INTERVAL: Duration = 31744
"""The largest QQIC (RFC 9776 section 4.1.7)."""

MAX_RESPONSE_TIME: Duration = 3174.4
"""The largest Max Resp Code of IGMPv3 (RFC 9776 section 4.1.1); MLDv2 has larger ones."""


ADOPTED_ROBUSTNESS = (2, 7)
"""Bounds of another querier's: RFC 9776 section 8.1 has no 0 and advises against 1, and its field ends at 7."""

ADOPTED_QUERY_INTERVAL: tuple[Duration, Duration] = (5, 600)
"""Bounds of another querier's: shorter ones end memberships in seconds, longer ones keep those of hosts that have gone
for hours. Who queries less often is taken for silent by the Other Querier Present Interval, before memberships end."""

ADOPTED_RESPONSE_INTERVAL: tuple[Duration, Duration] = (1, 25.5)
"""Bounds of another querier's: the longest that IGMPv2 can advertise (RFC 2236 section 2.2); MLDv2 up to 8,387 s."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """The values in force: the configured ones, or those that the elected querier announces."""

    robustness: int
    query_interval: Duration
    query_response_interval: Duration
    last_member_query_interval: Duration
    last_member_query_count: int

    @property
    def group_membership_interval(self) -> Duration:
        """How long a membership lives without a report (RFC 9776 section 8.4)."""
        return self.robustness * self.query_interval + self.query_response_interval

    @property
    def other_querier_present_interval(self) -> Duration:
        """How long a silent querier keeps its duty (section 8.5)."""
        return self.robustness * self.query_interval + self.query_response_interval / 2

    @property
    def older_host_present_interval(self) -> Duration:
        """How long a group stays in a compatibility mode after an older report (section 8.13)."""
        return self.group_membership_interval

    @property
    def last_member_query_time(self) -> Duration:
        """The leave latency (section 8.10)."""
        return self.last_member_query_interval * self.last_member_query_count


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipConfig:
    """Timers and limits that the operator may set. ValueError, with a sentence, when a value is out of its range.

    None stands for the RFC's default that follows from another value. ``igmp_version`` and ``mld_version``
    are those of the queries we send. ``fast_leave`` lets the leave of the last wanting host take effect at once where
    all hosts are tracked. ``enforce_ssm`` ignores any-source joins in the source-specific ranges, as RFC 4604
    section 2.2 requires of routers; off, they are served, as snooping switches do. ``require_router_alert`` ignores
    IGMPv2 and IGMPv3 messages without the option, which RFC 9776 section 4 demands and many hosts and switches omit.
    Without ``trust_queriers`` no query of another router ends this node's own queries, sets a value or lowers a timer.
    ``unsolicited_report_interval`` is that of the reports to other routers. ``max_groups`` counts those of one port,
    VLAN and protocol; more than 15,000 do not fit what a node may advertise. A group with
    more sources than an advertisement holds (56) is advertised to the other nodes as one of any source.
    """

    robustness: int = 2
    query_interval: Duration = 125
    query_response_interval: Duration = 10
    startup_query_interval: Duration | None = None
    startup_query_count: int | None = None
    last_member_query_interval: Duration = 1
    last_member_query_count: int | None = None
    igmp_version: int = 3
    mld_version: int = 2
    fast_leave: bool = True
    enforce_ssm: bool = False
    require_router_alert: bool = False
    trust_queriers: bool = True
    unsolicited_report_interval: Duration = 1
    max_groups: int = 12288
    max_groups_per_node: int = 12288
    max_sources_per_group: int = 64
    max_hosts_per_group: int = 256
    max_tracked_hosts: int = 65536
    max_vlans: int = 64

    def __post_init__(self) -> None:
        _in_range("robustness", self.robustness, 1, 7)
        _in_range("query_interval", self.query_interval, 1, MAX_QUERY_INTERVAL)
        _in_range("query_response_interval", self.query_response_interval, 0.1, MAX_RESPONSE_TIME)
        if self.query_response_interval >= self.query_interval:
            raise ValueError("query_response_interval must be less than query_interval (RFC 9776 section 8.3)")
        _in_range("startup_query_interval", self.effective_startup_query_interval, 0.1, MAX_QUERY_INTERVAL)
        _in_range("startup_query_count", self.effective_startup_query_count, 1, 255)
        _in_range("last_member_query_interval", self.last_member_query_interval, 0.1, MAX_RESPONSE_TIME)
        _in_range("last_member_query_count", self.intervals.last_member_query_count, 1, 255)
        _in_range("unsolicited_report_interval", self.unsolicited_report_interval, 0.1, 25)
        _in_range("max_sources_per_group", self.max_sources_per_group, 1, 1024)
        _in_range("igmp_version", self.igmp_version, 1, 3)
        _in_range("mld_version", self.mld_version, 1, 2)
        for name in ("max_groups", "max_groups_per_node"):
            _in_range(name, getattr(self, name), 1, 15_000)
        for name in ("max_hosts_per_group", "max_tracked_hosts"):
            _in_range(name, getattr(self, name), 1, 1 << 24)
        _in_range("max_vlans", self.max_vlans, 1, 4096)

    @property
    def effective_startup_query_interval(self) -> Duration:
        """RFC 9776 section 8.6."""
        return self.query_interval / 4 if self.startup_query_interval is None else self.startup_query_interval

    @property
    def effective_startup_query_count(self) -> int:
        """RFC 9776 section 8.7."""
        return self.robustness if self.startup_query_count is None else self.startup_query_count

    @property
    def intervals(self) -> Intervals:
        """The values in force while we are the querier."""
        count = self.robustness if self.last_member_query_count is None else self.last_member_query_count
        return Intervals(
            robustness=self.robustness,
            query_interval=self.query_interval,
            query_response_interval=self.query_response_interval,
            last_member_query_interval=self.last_member_query_interval,
            last_member_query_count=count,
        )


def adopted(value: float, bounds: tuple[float, float], own: float) -> float:
    """Bound another querier's value. As low as ``own``, the configured one, is not too low."""
    low, high = bounds
    return min(max(value, min(low, own)), high)


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, not {value:g}")
