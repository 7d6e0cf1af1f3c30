"""The watcher: pid 1 of a pid namespace around the back-end, so that its end is the end of every process inside.

A back-end's own promise is not enough: killed at the wrong moment bwrap leaves processes alive, and it can return
before its pid namespace is empty. The kernel keeps the watcher's promise: waiting for it returns only when the
namespace is empty.
"""

from __future__ import annotations

import os
import resource
import select

from warpforge.sandbox.kernel import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    PR_SET_PDEATHSIG,
    fix_addresses,
    mount,
    prctl,
    reset_signals,
    unshare,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warpforge.sandbox.wire import Order

SIGKILL = 9
TROUBLE = b"!"  # starts a line of the status pipe that is ours and not the back-end's: step, errno
# Any directory that every uid can reach and every root has: in the watcher's own namespace the merged root lies here
# for the back-end, which wants a path. (bwrap covers the same directory for a moment; that does no harm.)
MEETING_POINT = b"/tmp"


class Watched:
    """A running watcher: its pid, a descriptor that is readable when it has ended, and the status pipe."""

    def __init__(self, pid: int, status_fd: int, alive_fd: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._status_fd = status_fd
        self._alive_fd = alive_fd

    def kill(self) -> None:
        """Kill it, and so everything inside."""
        os.kill(self.pid, SIGKILL)

    def finish(self) -> tuple[int, bytes]:
        """Reap it; returns its wait status and what came out of the status pipe. No process is left after this."""
        _, status = os.waitpid(self.pid, 0)
        text = b""
        while piece := os.read(self._status_fd, 4096):
            text += piece
        for fd in (self.pidfd, self._status_fd, self._alive_fd):
            os.close(fd)
        return status, text


def start(
    order: Order, arguments: Callable[[int], list[bytes]], inherited: list[int], stdio: tuple[int, int, int]
) -> Watched:
    """Fork the watcher and, below it, the back-end that ``arguments(status_fd)`` names.

    ``inherited`` are the descriptors the back-end needs; ``stdio`` are the action's stdin, stdout and stderr.
    """
    unshare(CLONE_NEWPID)
    alive_read, alive_write = os.pipe()
    status_read, status_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(alive_write)
            os.close(status_read)
            code = _watch(order, arguments(status_write), [*inherited, status_write], stdio, alive_read, status_write)
        finally:
            os._exit(code if "code" in locals() else 125)
    os.close(alive_read)
    os.close(status_write)
    return Watched(pid, status_read, alive_write)


def _watch(
    order: Order, argv: list[bytes], inherited: list[int], stdio: tuple[int, int, int], alive_fd: int, status_fd: int
) -> int:
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    if _is_closed(alive_fd):
        return 125  # the helper died before that line
    step = b"namespace"
    try:
        unshare(CLONE_NEWNS)
        step = b"proc"
        mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        step = b"root"
        mount(b"m/root", MEETING_POINT, None, MS_BIND | MS_REC)
        step = b"fork"
        child = os.fork()
    except OSError as error:
        os.write(status_fd, TROUBLE + b"%s %d\n" % (step, error.errno or 0))
        return 125
    if child == 0:
        try:
            _become_backend(order, argv, inherited, stdio)
        except OSError as error:
            os.write(status_fd, TROUBLE + b"exec %d\n" % (error.errno or 0))
        finally:
            os._exit(125)
    for fd in (*stdio, status_fd):
        os.close(fd)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _is_closed(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _become_backend(order: Order, argv: list[bytes], inherited: list[int], stdio: tuple[int, int, int]) -> None:
    os.chdir("/")
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
    if order.terminal:
        _own_terminal()
    os.umask(order.umask)
    if order.cpus:
        os.sched_setaffinity(0, order.cpus)
    if not order.aslr:
        fix_addresses()
    for fd in inherited:
        os.set_inheritable(fd, True)  # noqa: FBT003
    reset_signals()
    for number, soft, hard in order.rlimits:
        _limit(number, soft, hard)
    os.execve(argv[0], argv, {})


def _own_terminal() -> None:
    """A session of our own, which the terminal at stdin controls: job control works, and it reaches nobody else."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _limit(number: int, soft: int, hard: int) -> None:
    """Set a limit, as far as this process may."""
    most = resource.getrlimit(number)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(number, (soft, hard))
