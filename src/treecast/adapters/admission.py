"""A node that makes its keys itself: the request in its directory, the CA's signature, and what comes of it.

The request holds public keys only. The admission holds the certificate, the network file, whose key is secret, and the
revocations that the CA knows.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from treecast.adapters import storage
from treecast.adapters.files import (
    PUBLIC_MODE,
    SECRET_MODE,
    NewFile,
    StagedDirectory,
    exclusive,
    explained,
    read_file,
    read_given,
    replace_file,
    require_place,
)
from treecast.adapters.node_directory import CERTIFICATE_FILE, NODE_KEY_FILE, REQUEST_FILE
from treecast.adapters.revocations_file import add_ca_records, ca_records_for_new
from treecast.base.errors import MalformedError, OperatorError
from treecast.base.limits import MAX_CERTIFICATE_BYTES
from treecast.identity.certificate import Certificate, CertificateError
from treecast.identity.ids import KEY_BYTES
from treecast.identity.keys import NodeKeys, parse_node_keys
from treecast.identity.network import Network
from treecast.identity.newest import is_newer
from treecast.identity.node import NodeIdentity, NodeRequest, keys_match
from treecast.identity.request import (
    MAX_ADMISSION_BYTES,
    MAX_REQUEST_BYTES,
    REQUEST_BAD_SIGNATURE,
    Admission,
    CertificateRequest,
    request_certificate,
)


def make_request(directory: Path, name: str) -> Path:
    """Makes a node's directory with its keys and its request, whose path is returned; OperatorError."""
    if (directory / REQUEST_FILE).is_file():
        raise OperatorError(
            f"{directory} has a request already: have {directory / REQUEST_FILE} signed, or choose another --dir"
        )
    keys = NodeKeys.from_seeds(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))
    files = (
        NewFile(NODE_KEY_FILE, keys.pem(), SECRET_MODE),
        NewFile(REQUEST_FILE, request_certificate(name, keys), PUBLIC_MODE),
    )
    storage.require_vacant(directory)
    with explained(f"make the node in {directory}"), StagedDirectory(directory, files) as staged:
        staged.publish()
    return directory / REQUEST_FILE


def load_request(path: Path) -> CertificateRequest:
    """A request, which its node signed; OperatorError."""
    data = read_given(path, MAX_REQUEST_BYTES, f"the {REQUEST_FILE} that treecast node request made")
    try:
        return CertificateRequest.decode(data)
    except MalformedError as error:
        if error.reason == REQUEST_BAD_SIGNATURE:
            raise OperatorError(
                f"{path} was altered since its node made it: take it from {REQUEST_FILE} of the node's directory again"
            ) from error
        raise OperatorError(
            f"{path} is no request of a node: give the {REQUEST_FILE} that treecast node request made"
        ) from error


def sign_request(
    network_directory: Path, path: Path, out: Path, request: NodeRequest, now_unix_s: float
) -> Certificate:
    """Admits the node that asked in ``path`` and writes its admission to ``out``; OperatorError, and then neither is
    done. ``request`` has the same name.
    """
    asked = load_request(path)
    storage.load_authority(network_directory)
    with (
        explained(f"lock the network in {network_directory}"),
        exclusive(network_directory / storage.NETWORK_LOCK_FILE),
    ):
        authority = storage.load_authority(network_directory)
        certificate, registry = authority.certify(request, asked.static_key, asked.signing_key, now_unix_s)
        require_place(out, f"{request.name}.admission")
        if os.path.lexists(out):
            raise OperatorError(f"{out} is there already: remove it, or choose another --out")
        storage.write_registry(network_directory, registry)
        try:
            with explained(f"write {out}"):
                records = ca_records_for_new(network_directory, authority)
                replace_file(out, Admission(certificate, authority.network, records).encode(), SECRET_MODE)
        except BaseException:
            storage.write_registry(network_directory, authority.registry)
            raise
    return certificate


def accept_admission(directory: Path, path: Path, now_unix_s: float) -> tuple[NodeIdentity, str]:
    """Puts what the CA made of a node's request into its directory; OperatorError, and then nothing has changed. A
    running node takes it as it takes any renewed certificate. Returns also, in words, what was damaged in
    ``revocations.json`` there; empty for nothing.
    """
    admission = _load_admission(path, now_unix_s)
    certificate, network = admission.certificate, admission.network
    missing = f"{directory} has no {NODE_KEY_FILE}: use the directory that treecast node request made"
    keys = storage.load_key(directory / NODE_KEY_FILE, parse_node_keys, missing)
    if not keys_match(certificate, keys):
        raise OperatorError(
            f"{path} is for other keys than those in {directory} (node {certificate.name}): use the directory that its "
            "request was made in"
        )
    _require_same_network(directory, network)
    _require_newer(directory, certificate)
    with explained(f"write the node in {directory}"):
        replace_file(directory / storage.NETWORK_FILE, network.encode(), SECRET_MODE)
        damage = add_ca_records(directory, network, admission.ca_records)
        replace_file(directory / CERTIFICATE_FILE, certificate.encode(), PUBLIC_MODE)  # last: with it all is there
        (directory / REQUEST_FILE).unlink(missing_ok=True)
    return NodeIdentity(network, certificate, keys), damage


def _load_admission(path: Path, now_unix_s: float) -> Admission:
    """An admission whose certificate is that of its network's CA, and valid now; OperatorError."""
    data = read_given(path, MAX_ADMISSION_BYTES, "the file that treecast node sign wrote")
    with suppress(MalformedError):
        name = CertificateRequest.decode(data).name
        raise OperatorError(
            f"{path} is the request of {name} itself: have it signed where the CA key is, with treecast node sign, and "
            "give what comes of it"
        )
    try:
        admission = Admission.decode(data)
    except MalformedError as error:
        raise OperatorError(
            f"{path} is damaged, or no answer to a request: give the file that treecast node sign wrote"
        ) from error
    try:
        admission.certificate.verify(admission.network.ca_public_key, now_unix_s)
    except CertificateError as error:
        raise OperatorError(storage.refusal_of(path, admission.certificate, error.reason, now_unix_s)) from error
    return admission


def _require_same_network(directory: Path, network: Network) -> None:
    if not (directory / storage.NETWORK_FILE).exists():
        return
    found = storage.load_network(directory)
    if found.id != network.id:
        raise OperatorError(
            f"the node in {directory} is of network {found.name} (id {found.id}), and this admits it to network "
            f"{network.name} (id {network.id}): make another node for that, with treecast node request"
        )


def _require_newer(directory: Path, certificate: Certificate) -> None:
    try:
        found = Certificate.decode(read_file(directory / CERTIFICATE_FILE, MAX_CERTIFICATE_BYTES))
    except (FileNotFoundError, MalformedError):
        return
    if found == certificate:
        raise OperatorError(f"the node in {directory} has accepted this already: start it with treecast up {directory}")
    if is_newer(found, certificate):
        raise OperatorError(f"the node in {directory} has a newer certificate already: nothing is to be done")
