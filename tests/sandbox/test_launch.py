"""Following a back-end, whatever of it is still there when we look."""

from __future__ import annotations

import os
import subprocess

from warpforge.sandbox.launch_bwrap import BwrapLaunch
from warpforge.sandbox.meter import Meter
from warpforge.sandbox.wire import Order


def test_a_command_that_has_ended_before_anybody_looked_gets_no_company() -> None:
    """On a busy machine a short one is over, and its back-end too, before the watcher comes to look at them."""
    command, backend = subprocess.Popen(["true"]), subprocess.Popen(["true"])
    for process in (command, backend):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    told, tell = os.pipe()
    os.write(tell, b'{ "child-pid": %d }\n{ "exit-code": 0 }\n' % command.pid)
    os.close(tell)
    order = Order(**{**dict.fromkeys(Order.__slots__), "berth": True})
    started: list[int] = []
    assert BwrapLaunch(order, {}).follow(backend.pid, told, Meter(0, 0), started.append) == b"exit 0"
    assert started == []
    os.close(told)
    assert (command.wait(), backend.wait()) == (0, 0)  # whoever followed it has reaped the second
