"""``revocations.json`` in a node's directory: the records of the CA that it knows, which no start forgets. In that of a
network: those that the CA made, which new nodes are given.

And the file that ``node revoke`` writes: one such record, as nodes send it to each other. It is public.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters.ca_records import is_ca_record, read_revocation, sign_revocation
from treecast.adapters.files import SECRET_MODE, NewFile, explained, read_given, replace_file
from treecast.adapters.remembered_file import DamagedError, Entries, encode_remembered, load_remembered, raw
from treecast.base.errors import MalformedError, OperatorError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CA_RECORDS
from treecast.identity.network import Network
from treecast.identity.node import Authority
from treecast.wire.control import MAX_ADVERTISEMENT_BYTES
from treecast.wire.revocation import RevocationContent

REVOCATIONS_FILE = "revocations.json"
_MAX_ENTRY_BYTES = MAX_ADVERTISEMENT_BYTES * 4 // 3 + 8
MAX_REVOCATIONS_FILE_BYTES = MAX_CA_RECORDS * _MAX_ENTRY_BYTES + 64

_RECORD = msgspec.json.Decoder(Annotated[bytes, Meta(max_length=MAX_ADVERTISEMENT_BYTES)])


class _RevocationsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: Annotated[list[msgspec.Raw], Meta(max_length=MAX_CA_RECORDS)]


def load_ca_records(directory: Path, network: Network) -> tuple[bytes, ...]:
    """The records that the network's CA signed; none without a file. OperatorError, DamagedError among them."""

    def values(file: _RevocationsFile, entries: Entries) -> tuple[bytes, ...]:
        found = entries.sound(file.records, _RECORD)
        genuine = tuple(record for record in found if is_ca_record(record, network.ca_public_key))
        entries.leave_out(len(found) - len(genuine))
        return genuine

    write = partial(write_ca_records, directory)
    return load_remembered(directory / REVOCATIONS_FILE, MAX_REVOCATIONS_FILE_BYTES, _RevocationsFile, values, write)


def write_ca_records(directory: Path, records: Iterable[bytes]) -> None:
    """OperatorError."""
    with explained(f"write {directory / REVOCATIONS_FILE}"):
        replace_file(directory / REVOCATIONS_FILE, _encode(records), SECRET_MODE)


def _encode(records: Iterable[bytes]) -> bytes:
    return encode_remembered(_RevocationsFile([raw(record) for record in records]))


def add_revocation(directory: Path, network: Network, path: Path) -> tuple[NodeIndex, RevocationContent, str]:
    """Puts what ``node revoke`` wrote to ``path`` into a node's directory; OperatorError. Who is revoked, and what
    ``add_ca_records`` returns.
    """
    wire, (node, content) = _load(path, network)
    return node, content, add_ca_records(directory, network, [wire])


def add_ca_records(directory: Path, network: Network, records: Iterable[bytes]) -> str:
    """Puts records into a node's or a network's directory, but those that the CA did not sign; OperatorError.

    A damaged file there keeps none from being taken: the whole ones of it stay. Returns that in words; empty where
    nothing was damaged.
    """
    damage = ""
    try:
        known = load_ca_records(directory, network)
    except DamagedError as error:
        known = error.kept
        which = "record" if len(known) == 1 else "records"
        damage = f"{error}, with what is added now and {len(known)} whole {which} of before: add others again"
    genuine = (record for record in records if is_ca_record(record, network.ca_public_key))
    everything = _newest((*known, *genuine), network)[-MAX_CA_RECORDS:]
    if everything != known:
        write_ca_records(directory, everything)
    return damage


def ca_records_for_new(network_directory: Path, authority: Authority) -> tuple[bytes, ...]:
    """The records that a new node is to know from its first start on: those that lie in the network's directory, and
    those of nodes that the registry has as revoked. OperatorError.
    """
    kept = load_ca_records(network_directory, authority.network)
    revoked = (node for node in authority.registry.nodes if node.revoked)
    listed = (sign_revocation(authority.key, node.index, node.serial, node.name) for node in revoked)
    return tuple(dict.fromkeys((*kept, *listed)))[-MAX_CA_RECORDS:]


def revocations_for_new(network_directory: Path, authority: Authority) -> list[NewFile]:
    """The file with these records for a new directory; none where nobody was revoked. OperatorError."""
    records = ca_records_for_new(network_directory, authority)
    return [NewFile(REVOCATIONS_FILE, _encode(records), SECRET_MODE)] if records else []


def require_kept(directory: Path, network: Network, path: Path) -> None:
    """OperatorError where a node that wrote its file in the same moment has not kept what was put there."""
    _, (node, content) = _load(path, network)
    kept = revoked_in(directory, network)
    if not any(other == node and one.serial >= content.serial for other, one in kept):
        raise OperatorError(f"the node in {directory} wrote its files in the same moment: apply {path} once more")


def revoked_in(directory: Path, network: Network) -> list[tuple[NodeIndex, RevocationContent]]:
    """The revocations that a node's directory has, by node index; OperatorError."""
    found: list[tuple[NodeIndex, RevocationContent]] = []
    for record in load_ca_records(directory, network):
        with suppress(MalformedError):  # a record of a kind of later versions
            found.append(read_revocation(record, network.ca_public_key))
    return sorted(found, key=lambda one: (one[0], one[1].serial))


def _newest(records: Iterable[bytes], network: Network) -> tuple[bytes, ...]:
    """The records without those of a node of which one has a higher serial: who voids often pushes no other one out."""
    kept: dict[NodeIndex | bytes, tuple[int, bytes]] = {}
    for record in records:
        try:
            node, content = read_revocation(record, network.ca_public_key)
        except MalformedError:  # a record of a kind of later versions
            kept[record] = (0, record)
            continue
        if node not in kept or kept[node][0] < content.serial:
            kept.pop(node, None)
            kept[node] = (content.serial, record)
    return tuple(record for _, record in kept.values())


def _load(path: Path, network: Network) -> tuple[bytes, tuple[NodeIndex, RevocationContent]]:
    wire = read_given(path, MAX_ADVERTISEMENT_BYTES, "the file that treecast node revoke wrote")
    try:
        return wire, read_revocation(wire, network.ca_public_key)
    except MalformedError as error:
        if error.reason == "advertisement_bad_signature":
            raise OperatorError(
                f"{path} is not signed by the CA of network {network.name}: give the file that treecast node revoke "
                "wrote where that CA's key is"
            ) from error
        raise OperatorError(f"{path} is no revocation: give the file that treecast node revoke wrote") from error
