"""Machines and networks that exist only inside this one: network namespaces, veth pairs, bridges.

Read ``topology`` first: it draws what is built. ``node`` runs Treecast on the machines, ``load`` sends and receives
measured UDP streams. Everything here needs root; nothing here touches the interfaces of the machine it runs on.
"""

from __future__ import annotations

from lab.capture import Capture
from lab.counting import Counters
from lab.machine import Machine
from lab.process import Process
from lab.topology import Lab, Switch
from lab.waiting import wait_until

__all__ = ["Capture", "Counters", "Lab", "Machine", "Process", "Switch", "wait_until"]
