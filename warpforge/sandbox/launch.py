"""Launches: how each back-end is started with what the helper prepared, followed, and understood when it has ended.

``prepare`` runs in the helper, ``become`` in the process that turns into the back-end, ``follow`` in the watcher
beside it. What ``follow`` gives is the report that the watcher writes and the helper reads, one line:

    exit N · signal N      how the action ended
    exec REASON TEXT       the action could not be executed
    backend TEXT           the back-end ended without having run it
    limit NAME             the action went over a limit that the watcher looks after, and is killed
"""

from __future__ import annotations

import os

from warpforge.sandbox.identity import write_file
from warpforge.sandbox.stepdown import can_step_down

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from warpforge.sandbox.meter import Meter
    from warpforge.sandbox.wire import Order


class Launch:
    """One back-end's way. What both need is here; a back-end adds to it.

    ``inherited``: descriptors that the back-end needs; ``limits_the_action``: it sets the resource limits itself, for
    the action alone; ``takes_terminal``: the action takes its terminal by itself, known once prepared.
    """

    limits_the_action = False
    takes_terminal = False

    def __init__(self, order: Order, env: dict[bytes, bytes]) -> None:
        self._order = order
        self._env = env
        self.inherited: tuple[int, ...] = ()

    def prepare(self) -> None:
        """Write down, in memory, what the back-end will read. Raises OSError."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back the caller's own descriptors of it."""
        for fd in self.inherited:
            os.close(fd)

    def furnish(self) -> None:
        """Put into the root, in the watcher, what the back-end does not. Raises OSError."""

    def attend(self) -> None:
        """Once the back-end is there, in the watcher: begin what serves it. Raises OSError."""

    def become(self, init_pid: int, status_fd: int) -> NoReturn:
        """Turn into the back-end. Raises OSError."""
        raise NotImplementedError

    def follow(self, pid: int, status_fd: int, meter: Meter, started: Callable[[int], None]) -> bytes:
        """Wait for the end; the report. ``started`` hears a pidfd of the action as soon as it runs."""
        raise NotImplementedError


# Any directory that every uid can reach and every root has: in the watcher's own namespace the helper's m/ lies here
# for the back-end, which wants paths. (bwrap covers the same directory for a moment; that does no harm.)
MEETING_POINT = b"/tmp"
ROOT = MEETING_POINT + b"/root"


def find_launch(backend: str) -> Callable[[Order, dict[bytes, bytes]], Launch]:
    """A back-end's way; its module is imported now, while it can be found."""
    if backend == "runc":
        from warpforge.sandbox.launch_runc import RuncLaunch

        return RuncLaunch
    from warpforge.sandbox.launch_bwrap import BwrapLaunch

    return BwrapLaunch


def can_take_terminal(order: Order) -> bool:
    """Whether a program before the command can do so for it."""
    return order.terminal and can_step_down()


def make_command(order: Order, fd: int) -> tuple[bytes, ...]:
    """The command, behind the program that becomes its user or takes its terminal where one is needed."""
    if fd < 0:
        return order.argv
    return (b"/proc/self/fd/%d" % fd, order.program_path, *order.argv)


def forbid_namespaces() -> None:
    """There is to be one more user namespace below ours, and no other."""
    try:
        write_file("/proc/sys/user/max_user_namespaces", b"1")
    except OSError:
        pass  # not to be written here: then the profile alone refuses them


def say_end(status: int) -> bytes:
    """The report for a wait status."""
    if os.WIFSIGNALED(status):
        return b"signal %d" % os.WTERMSIG(status)
    return b"exit %d" % os.WEXITSTATUS(status)


def make_memfd(name: str, data: bytes) -> int:
    """A file in memory, at its beginning."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
