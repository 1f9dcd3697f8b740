"""Certificates: the bytes, and each reason to refuse one."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from ipaddress import IPv4Interface, IPv4Network, IPv6Address, IPv6Network

import msgspec
import pytest

from tests.unit.identity.samples import (
    CA_KEY,
    CERTIFICATE,
    CLAIMS,
    KEYS,
    LONGEST,
    NETWORK,
    NOT_AFTER_S,
    NOT_BEFORE_S,
    NOW_S,
    OTHER_CA_KEY,
)
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CERTIFICATE_BYTES
from treecast.identity.certificate import (
    CERTIFICATE_BAD_SIGNATURE,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_EXTENSION_UNKNOWN,
    CERTIFICATE_MALFORMED,
    CERTIFICATE_NOT_YET_VALID,
    CERTIFICATE_WRONG_NETWORK,
    Certificate,
    CertificateContent,
    CertificateError,
    Extension,
    Verifier,
    issue,
)
from treecast.identity.keys import SigningKey
from treecast.identity.rights import Rights, Role

_FIELDS: dict[str, object] = {
    "version": 2,
    "network id": bytes(NETWORK.id),
    "issuer id": sha256(b"treecast issuer id 1" + CA_KEY.public).digest()[:8],
    "serial": 12,
    "index": 7,
    "name": "alice",
    "static key": KEYS.static.public,
    "signing key": KEYS.signing.public,
    "ipv4": bytes([10, 77, 0, 7]),
    "ipv4 length": 16,
    "ipv6": CLAIMS.ipv6.ip.packed if CLAIMS.ipv6 else None,
    "ipv6 length": 64,
    "not before": NOT_BEFORE_S,
    "not after": NOT_AFTER_S,
    "roles": 2,
    "send to": None,
    "receive from": None,
    "hosts": 4096,
    "groups": 16_384,
    "area": 0,
    "extensions": [],
}
_BODY = list(_FIELDS.values())


def _sealed(body: object, by: SigningKey = CA_KEY) -> bytes:
    """``body`` as a certificate that the CA, or another one, did sign."""
    packed = msgspec.msgpack.encode(body)
    return msgspec.msgpack.encode([packed, by.sign(b"treecast certificate 2", packed)])


def _with(field: str, value: object) -> bytes:
    assert field in _FIELDS
    return _sealed(list({**_FIELDS, field: value}.values()))


def _forged(claims: CertificateContent, signature: bytes = CERTIFICATE.signature) -> Certificate:
    """Other claims than those that the CA signed."""
    return Certificate.decode(msgspec.msgpack.encode([issue(CA_KEY, claims).body, signature]))


def _reason(certificate: Certificate, ca_public_key: bytes, now_unix_s: float) -> str:
    with pytest.raises(CertificateError) as refused:
        certificate.verify(ca_public_key, now_unix_s)
    return refused.value.reason


def test_the_bytes_are_those_of_the_protocol() -> None:
    assert CERTIFICATE.encode() == _sealed(_BODY)


def test_a_certificate_is_read_back_as_it_was_issued() -> None:
    assert Certificate.decode(CERTIFICATE.encode()) == CERTIFICATE
    CERTIFICATE.verify(CA_KEY.public, NOW_S)


def test_a_node_without_addresses_has_a_certificate_too() -> None:
    certificate = issue(CA_KEY, replace(CLAIMS, ipv4=None, ipv6=None))
    assert Certificate.decode(certificate.encode()) == certificate
    assert certificate.encode() == _sealed(
        list({**_FIELDS, "ipv4": None, "ipv4 length": 0, "ipv6": None, "ipv6 length": 0}.values())
    )


def test_the_longest_certificate_leaves_room_for_prefixes_and_extensions() -> None:
    assert len(issue(CA_KEY, LONGEST).encode()) <= MAX_CERTIFICATE_BYTES // 2


def test_rights_are_read_back_as_they_were_issued() -> None:
    rights = Rights(
        Role.BRIDGE | Role.CONTROLLER,
        send_to=(IPv4Network("239.1.0.0/16"), IPv6Network("ff3e::/32")),
        receive_from=(),
        hosts=0,
        groups=2**32 - 1,
        area=7,
    )
    certificate = issue(CA_KEY, replace(CLAIMS, rights=rights))
    assert Certificate.decode(certificate.encode()).rights == rights
    values = {
        "roles": 5,
        "send to": [[bytes([239, 1, 0, 0]), 16], [IPv6Address("ff3e::").packed, 32]],
        "receive from": [],
        "hosts": 0,
        "groups": 2**32 - 1,
        "area": 7,
    }
    assert certificate.encode() == _sealed(list({**_FIELDS, **values}.values()))


def test_what_later_versions_add_is_left_alone_and_its_bytes_are_kept() -> None:
    later = [*_BODY[:-1], [[9, False, b"later"]], "more", {"fields": [1]}]
    later[_BODY.index("alice") + 9] = 2 | 1 << 40  # a role
    later[-3] = [[9, False, b"later", "and more"]]
    certificate = Certificate.decode(_sealed(later))
    certificate.verify(CA_KEY.public, NOW_S)
    assert (certificate.name, certificate.encode()) == ("alice", _sealed(later))
    assert Role.RELAY in certificate.rights.roles and Role.BRIDGE not in certificate.rights.roles


def test_an_unknown_critical_extension_has_it_refused_and_any_other_has_not() -> None:
    left_alone, critical = (
        issue(CA_KEY, replace(CLAIMS, extensions=(Extension(1, False, b""), Extension(2, critical, b"x"))))
        for critical in (False, True)
    )
    left_alone.verify(CA_KEY.public, NOW_S)
    assert _reason(critical, CA_KEY.public, NOW_S) == CERTIFICATE_EXTENSION_UNKNOWN
    forged = _forged(replace(CLAIMS, extensions=critical.extensions))
    assert _reason(forged, CA_KEY.public, NOW_S) == CERTIFICATE_BAD_SIGNATURE


def test_a_certificate_that_names_another_issuer_is_not_this_ca_s() -> None:
    assert _reason(Certificate.decode(_with("issuer id", bytes(8))), CA_KEY.public, NOW_S) == CERTIFICATE_BAD_SIGNATURE


def test_it_is_valid_from_its_first_to_its_last_second() -> None:
    CERTIFICATE.verify(CA_KEY.public, NOT_BEFORE_S)
    CERTIFICATE.verify(CA_KEY.public, NOT_AFTER_S)
    assert _reason(CERTIFICATE, CA_KEY.public, NOT_BEFORE_S - 0.001) == CERTIFICATE_NOT_YET_VALID
    assert _reason(CERTIFICATE, CA_KEY.public, NOT_AFTER_S + 0.001) == CERTIFICATE_EXPIRED


def test_another_networks_certificate_is_refused_whatever_the_time() -> None:
    assert _reason(CERTIFICATE, OTHER_CA_KEY.public, NOW_S) == CERTIFICATE_WRONG_NETWORK
    assert _reason(CERTIFICATE, OTHER_CA_KEY.public, NOT_AFTER_S + 1) == CERTIFICATE_WRONG_NETWORK


def test_a_certificate_that_another_ca_signed_for_this_network_is_refused() -> None:
    assert _reason(issue(OTHER_CA_KEY, CLAIMS), CA_KEY.public, NOW_S) == CERTIFICATE_BAD_SIGNATURE
    in_its_name = Certificate.decode(_sealed(_BODY, OTHER_CA_KEY))
    assert _reason(in_its_name, CA_KEY.public, NOW_S) == CERTIFICATE_BAD_SIGNATURE


@pytest.mark.parametrize(
    "forged",
    [
        _forged(replace(CLAIMS, node_index=NodeIndex(8))),
        _forged(replace(CLAIMS, name="bob")),
        _forged(replace(CLAIMS, ipv4=IPv4Interface("10.77.0.8/16"))),
        _forged(replace(CLAIMS, not_after_s=NOT_AFTER_S + 1)),
        _forged(replace(CLAIMS, static_key=KEYS.signing.public)),
        _forged(replace(CLAIMS, rights=Rights(Role.BRIDGE))),
        _forged(CLAIMS, bytes(64)),
    ],
    ids=["index", "name", "address", "validity", "key", "role", "signature"],
)
def test_a_changed_claim_makes_the_signature_bad(forged: Certificate) -> None:
    assert _reason(Certificate.decode(forged.encode()), CA_KEY.public, NOW_S) == CERTIFICATE_BAD_SIGNATURE


def test_a_forged_certificate_is_called_forged_and_not_expired() -> None:
    forged = _forged(replace(CLAIMS, name="bob"))
    assert _reason(forged, CA_KEY.public, NOT_AFTER_S + 1) == CERTIFICATE_BAD_SIGNATURE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        CERTIFICATE.encode()[:-1],
        CERTIFICATE.encode() + b"\x00",
        b"\x92\xc6\x00\x00" + CERTIFICATE.encode()[2:],  # bin 32 where bin 8 does
        _sealed(_BODY) + b"\x00" * MAX_CERTIFICATE_BYTES,
        _sealed(_BODY[:-1]),
        _sealed({"version": 1}),
        _with("version", 1),
        _with("version", 3),
        _with("network id", bytes(15)),
        _with("index", 0),
        _with("index", 2**32),
        _with("index", -1),
        _with("index", 7.0),
        _with("name", ""),
        _with("name", "a" * 64),
        _with("name", "Alice"),
        _with("name", "alice\n"),
        _with("name", "../alice"),
        _with("name", b"alice"),
        _with("static key", bytes(31)),
        _with("signing key", bytes(33)),
        _with("signing key", None),
        _with("ipv4", bytes(16)),
        _with("ipv4", None),
        _with("ipv4 length", 33),
        _with("ipv6", bytes(4)),
        _with("ipv6", None),
        _with("ipv6 length", 129),
        _with("not before", -1),
        _with("not before", NOT_AFTER_S + 1),
        _with("not after", 2**63),
        _with("not after", NOT_AFTER_S + 0.5),
        _with("issuer id", bytes(7)),
        _with("serial", 2**63),
        _with("serial", -1),
        _with("roles", 2**63),
        _with("roles", None),
        _with("send to", [[bytes([239, 1, 0, 1]), 16]]),
        _with("send to", [[bytes([10, 0, 0, 0]), 8]]),
        _with("send to", [[bytes(4), 0]]),
        _with("send to", [[bytes([224, 0, 0, 0]), 33]]),
        _with("receive from", [[b"\xff" + bytes(4), 8]]),
        _with("receive from", [[IPv6Address("fe00::").packed, 8]]),
        _with("receive from", [[bytes([224, 0, 0, 0]), 4]] * 17),
        _with("hosts", 2**32),
        _with("groups", None),
        _with("area", -1),
        _with("extensions", None),
        _with("extensions", [[1, False, b""]] * 9),
        _with("extensions", [[1, 0, b""]]),
        _with("extensions", [[2**32, True, b""]]),
        msgspec.msgpack.encode([*msgspec.msgpack.decode(_sealed(_BODY)), 0]),
        msgspec.msgpack.encode([msgspec.msgpack.encode(_BODY), bytes(63)]),
        msgspec.msgpack.encode([_BODY, bytes(64)]),
        b"\xdc\x00\x02" + _sealed(_BODY)[1:],
        b"\x91" * 300,
    ],
)
def test_bytes_of_another_form_are_malformed_even_when_signed(data: bytes) -> None:
    with pytest.raises(CertificateError) as refused:
        Certificate.decode(data)
    assert refused.value.reason == CERTIFICATE_MALFORMED


@pytest.mark.parametrize(
    "claims", [replace(CLAIMS, name="A"), replace(CLAIMS, node_index=NodeIndex(0)), replace(CLAIMS, not_after_s=0)]
)
def test_the_ca_issues_nothing_that_no_one_could_read(claims: CertificateContent) -> None:
    with pytest.raises(CertificateError):
        issue(CA_KEY, claims)


def test_the_mac_address_is_made_of_the_index() -> None:
    assert str(CERTIFICATE.mac) == "02:54:00:00:00:07"


def test_a_verifier_that_knows_a_certificate_still_looks_at_the_time_and_at_each_byte() -> None:
    verifier, wire = Verifier(CA_KEY.public), CERTIFICATE.encode()
    forged = _forged(replace(CLAIMS, name="mallory")).encode()
    rows = [
        (wire, NOW_S, ""),
        (wire, NOW_S, ""),
        (wire, NOT_AFTER_S + 1, CERTIFICATE_EXPIRED),
        (forged, NOW_S, CERTIFICATE_BAD_SIGNATURE),
        (forged, NOW_S, CERTIFICATE_BAD_SIGNATURE),
        (wire[:-1], NOW_S, CERTIFICATE_MALFORMED),
        (wire, NOT_BEFORE_S - 1, CERTIFICATE_NOT_YET_VALID),
        (wire, NOW_S, ""),
    ]
    for data, now_s, reason in rows:
        if not reason:
            assert verifier.verify(data, now_s) == CERTIFICATE
            continue
        with pytest.raises(CertificateError) as refused:
            verifier.verify(data, now_s)
        assert refused.value.reason == reason
    with pytest.raises(CertificateError) as foreign:
        Verifier(OTHER_CA_KEY.public).verify(wire, NOW_S)
    assert foreign.value.reason == CERTIFICATE_WRONG_NETWORK


def test_of_the_certificates_that_were_verified_the_one_used_least_lately_is_verified_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("treecast.identity.certificate.MAX_VERIFIED_CERTIFICATES", 2)
    verifier = Verifier(CA_KEY.public)
    first, *others = (issue(CA_KEY, replace(CLAIMS, name=name)).encode() for name in ("alice", "bob", "carol"))
    known = verifier.verify(first, NOW_S)
    assert verifier.verify(first, NOW_S) is known
    for other in others:
        verifier.verify(other, NOW_S)
    again = verifier.verify(first, NOW_S)
    assert (again == known, again is known) == (True, False)
