"""A running node takes a renewed certificate, and no datagram of a stream is lost by that."""

from __future__ import annotations

import os
import signal
import time

from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, wait_received
from treecast.adapters import storage
from treecast.adapters.node_directory import CERTIFICATE_FILE
from treecast.api.client import fetch_status
from treecast.base.time import iso_date

GROUP, PORT, RATE_PPS = "239.20.7.1", 5007, 1000


def renew(net: Overlay, node: TreecastNode, days: int) -> str:
    """The date of its end, as ``status`` is to have it."""
    certificate = storage.renew_node(net.network, node.directory, node.name, days, None, time.time())
    return iso_date(certificate.not_after_s)


def valid_until(node: TreecastNode) -> str:
    return fetch_status(node.directory).valid_until


def hang_up(node: TreecastNode) -> None:
    """SIGHUP, just after its file has changed."""
    os.utime(node.directory / CERTIFICATE_FILE)
    node.process.send_signal(signal.SIGHUP)


def is_taken_while_written(node: TreecastNode, end: str) -> bool:
    """Its file goes on changing: a look that waits until it stands still has nothing to take."""
    os.utime(node.directory / CERTIFICATE_FILE)
    return valid_until(node) == end


def test_certificates_are_renewed_under_a_stream_by_themselves_and_at_sighup(mesh: Overlay) -> None:
    root, subscriber = mesh[0], mesh[1]
    stream = Sender(root.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    receiver = Receiver(subscriber.machine, GROUP, PORT, interface=INTERFACE)
    wait_received(receiver, 100)
    end = renew(mesh, root, 90)
    wait_until(lambda: valid_until(root) == end, LIMIT_S, "the root takes it by itself")
    end = renew(mesh, subscriber, 91)
    hang_up(subscriber)
    wait_until(lambda: is_taken_while_written(subscriber, end), LIMIT_S, "the subscriber takes it at SIGHUP")
    wait_received(receiver, receiver.snapshot().received + RATE_PPS)
    assert receiver.stop().lost == 0
    stream.stop()
    assert not [problem for node in (root, subscriber) for problem in fetch_status(node.directory).problems]
