"""Reports of any version as records of the newest, and what older hosts cannot mean (RFC 9776 section 7.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from treecast.multicast.protocol import Protocol
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    RecordType,
)


def records_of(
    protocol: Protocol, message: MembershipReport | OlderReport | LeaveGroup | MembershipQuery
) -> Iterable[tuple[int, GroupRecord]]:
    """A report's records as those of the newest version, each with its own version."""
    match message:
        case OlderReport(version=version, group=group):
            yield version, GroupRecord(RecordType.MODE_IS_EXCLUDE, group)
        case LeaveGroup(group=group):
            yield protocol.leaves_from, GroupRecord(RecordType.CHANGE_TO_INCLUDE_MODE, group)
        case MembershipReport(records=records):
            for record in records:
                yield protocol.newest_version, record


def in_compatibility_mode(protocol: Protocol, mode: int, record: GroupRecord) -> GroupRecord | None:
    """A record as a group in this mode takes it: what older hosts cannot mean is ignored, so that they lose nothing."""
    if mode == protocol.newest_version:
        return record
    if record.record_type is RecordType.BLOCK_OLD_SOURCES:
        return None
    if record.record_type is RecordType.CHANGE_TO_EXCLUDE_MODE:
        return replace(record, sources=())
    if record.record_type is RecordType.CHANGE_TO_INCLUDE_MODE and mode < protocol.leaves_from:
        return None
    return record
