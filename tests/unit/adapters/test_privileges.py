"""A process that keeps its secrets: it executes nothing, and does what a node does."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = """
    import ctypes, errno, os, socket, subprocess, threading
    from treecast.adapters.privileges import keep_secrets

    def outcome(call):
        try:
            return call()
        except OSError as error:
            return errno.errorcode[error.errno]

    def thread():
        print("thread", outcome(lambda: os.execv("/bin/true", ["true"])))

    print("before", subprocess.run(["/bin/true"]).returncode)
    keep_secrets()
    print("dumpable", ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
    print("execve", outcome(lambda: os.execv("/bin/true", ["true"])))
    print("child", outcome(lambda: subprocess.run(["/bin/true"]).returncode))
    other = threading.Thread(target=thread)
    other.start()
    other.join()
    for family in ("UNIX", "INET", "INET6", "NETLINK", "VSOCK", "ALG"):
        kind = socket.SOCK_RAW if family == "NETLINK" else socket.SOCK_DGRAM
        print(family, outcome(lambda: socket.socket(getattr(socket, "AF_" + family), kind).close()))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    print("fork", os.waitpid(pid, 0)[1])
"""
WANTED = """
    before 0
    dumpable 0
    execve EPERM
    child EPERM
    thread EPERM
    UNIX None
    INET None
    INET6 None
    NETLINK None
    VSOCK EPERM
    ALG EPERM
    fork 0
"""


def test_the_kernel_refuses_a_node_s_process_what_no_node_does_and_nothing_else() -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)
    assert (done.stdout, done.stderr) == (textwrap.dedent(WANTED).lstrip(), "")
