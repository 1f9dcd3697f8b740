"""Refusals of the kernel as sentences: what the operator can do when the data plane cannot open something."""

from __future__ import annotations

TUN_DEVICE = "/dev/net/tun"


def on_packet_socket(error: OSError, interface: str) -> str:
    """Advice for a packet socket on an interface."""
    match error.errno:
        case 1 | 13:
            advice = "run this as root or with CAP_NET_RAW"
        case 19:
            advice = "ip link lists the interfaces there are"
        case _:
            advice = "name an Ethernet interface that leads to a LAN"
    return f"cannot open {error.strerror or interface}: {advice}"


def on_packet_port(error: OSError) -> str:
    """Advice for one more packet port."""
    reason = (error.strerror or str(error)).lower()
    return f"no packet port ({reason}): a node has 3 at most"


def on_start(error: OSError) -> str:
    """Advice for the TAP and the sockets of a node."""
    what = error.strerror or str(error)
    match error.errno:
        case 1 | 13:
            return (
                f"{what}: a node opens a TAP device, so start it as root or with CAP_NET_ADMIN, in a container with "
                f"--device {TUN_DEVICE}"
            )
        case 2 | 6 | 19 | 25:
            return (
                f"{what}: {TUN_DEVICE}, by which a node makes its interface, is missing or is no TUN/TAP device: load "
                f"its module (modprobe tun), or start the container with --device {TUN_DEVICE}"
            )
        case 16:
            return f"{what}: another program uses this interface, so choose another name with --interface"
        case 98:
            return f"{what}: another program uses this port, so choose another one with --listen"
        case 99:
            return f"{what}: this machine has no such address, so choose another one with --listen"
        case _:
            return what
