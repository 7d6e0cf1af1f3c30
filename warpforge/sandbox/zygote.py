"""The zygote: a small process that forks one helper for each run.

The engine has threads and an open LMDB, so it must not fork, and a fresh Python for each run costs 11 ms and more.
It is started once with an empty environment, as ``python -I -S``: descriptor 0 is a socket to the engine, 1 a pidfd
of the engine. It ends when the engine has ended and its last helper is gone; whatever a killed helper left of its
work directory it deletes (under root the helper itself could not remove that directory's name).
"""

from __future__ import annotations

import _socket  # the public socket costs milliseconds more, most of it for enumerations
import gc
import os
import select

from warpforge.sandbox import helper, launch_bwrap  # noqa: F401 (no helper has to import the usual back-end's)
from warpforge.sandbox.cgroup import remove_groups
from warpforge.sandbox.rights import receive_rights
from warpforge.sandbox.wire import KEPT_STATUS, NO_WORK, VISIT
from warpforge.sandbox.work import remove_work

_MOST_RIGHTS = 7  # the descriptors of one run
_LONGEST_PATH = 8192 * 3


def main() -> None:
    """Serve until the engine is gone."""
    engine, engine_pidfd = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)
    os.umask(0o022)
    os.chdir("/")
    gc.disable()  # or each helper's first collection would copy the pages it shares with us
    Zygote(_socket.socket(fileno=engine), engine_pidfd).serve()


class Zygote:
    """The loop: a datagram makes a helper, a helper's end makes a clean-up."""

    def __init__(self, engine: _socket.socket, engine_pidfd: int) -> None:
        self._engine = engine
        self._engine_pidfd = engine_pidfd
        self._own_pidfd = os.pidfd_open(os.getpid())
        self._helpers: dict[int, tuple[int, list[bytes]]] = {}  # pidfd -> pid, work and cgroups

    def serve(self) -> None:
        """Fork and bury until the engine is gone and no helper is left."""
        poll = select.poll()
        for fd in (self._engine.fileno(), self._engine_pidfd):
            poll.register(fd, select.POLLIN)
        open_for_work = True
        while open_for_work or self._helpers:
            for fd, _ in poll.poll():
                if fd in self._helpers:
                    poll.unregister(fd)
                    self._bury(fd)
                elif open_for_work and (fd == self._engine_pidfd or not self._accept(poll)):
                    open_for_work = False
                    poll.unregister(self._engine.fileno())
                    poll.unregister(self._engine_pidfd)

    def _accept(self, poll: select.poll) -> bool:
        """Start one helper; False when the engine has closed its end."""
        names, descriptors = receive_rights(self._engine, _LONGEST_PATH, _MOST_RIGHTS)
        if not names:
            return False
        try:
            pid = os.fork()
        except OSError:  # too many processes: this run has no helper, as its engine sees; the others go on
            for fd in descriptors:
                os.close(fd)
            return True
        if pid == 0:
            guards = (self._engine_pidfd, self._own_pidfd)
            if names == VISIT:
                from warpforge.sandbox.visitor import run

                run(descriptors, guards)
            helper.run(descriptors, guards)  # neither returns
        for fd in descriptors:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._helpers[pidfd] = (pid, [NO_WORK] if names == VISIT else names.split(b"\0"))
        poll.register(pidfd, select.POLLIN)
        return True

    def _bury(self, pidfd: int) -> None:
        """Reap one helper and delete what is left of its work directory."""
        pid, (work, *groups) = self._helpers.pop(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != KEPT_STATUS:
            remove_work(work)
        remove_groups(groups)
