"""The watcher: pid 1 of a pid namespace around the back-end, so that its end is the end of every process inside.

A back-end's own promise is not enough: killed at the wrong moment bwrap leaves processes alive, it can return before
its pid namespace is empty, and runc leaves a container behind. The kernel keeps the watcher's promise: waiting for it
returns only when the namespace, and every one below it, is empty.
"""

from __future__ import annotations

import _socket
import os
import resource
import select

from warpforge.sandbox.identity import write_file
from warpforge.sandbox.init import InitFailed, start_init
from warpforge.sandbox.kernel import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    PR_SET_PDEATHSIG,
    control_terminal,
    fix_addresses,
    mount,
    prctl,
    reset_signals,
    send_signal,
    unshare,
)
from warpforge.sandbox.launch import MEETING_POINT, ROOT
from warpforge.sandbox.meter import Meter
from warpforge.sandbox.rights import receive_rights, send_rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.launch import Launch
    from warpforge.sandbox.wire import Order

SIGKILL = 9
TROUBLE = b"!"  # starts a report of what could not be set up: step, errno
_DIED = 125


class Watched:
    """A running watcher: its pid, a descriptor that is readable when it has ended, and the pipe of its report."""

    def __init__(self, pid: int, report_fd: int, alive_fd: int, gate_fd: int, news: _socket.socket | None) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._report_fd = report_fd
        self._alive_fd = alive_fd
        self._gate_fd = gate_fd  # -1: open
        self._news = news
        self._signals: list[int] = []
        self.action = -1  # a pidfd, once it is known to run

    @property
    def news(self) -> tuple[int, ...]:
        """What is readable when ``hear`` has something to hear."""
        return (self._news.fileno(),) if self._news is not None else ()

    @property
    def waits(self) -> bool:
        """Whether the back-end has not begun yet, for it was not let."""
        return self._gate_fd >= 0

    def begin(self) -> None:
        """Let the back-end begin, if it waits."""
        fd, self._gate_fd = self._gate_fd, -1
        if fd >= 0:
            try:
                os.write(fd, b"1")
            except OSError:
                pass  # it could not come so far, and the report says why
            os.close(fd)

    def hear(self) -> bool:
        """Whether the action runs, as the watcher says now; else it never will."""
        assert self._news is not None
        _, fds = receive_rights(self._news, 1, 1)
        if not fds:
            return False
        self.action = fds[0]
        for number in self._signals:
            self.signal(number)
        return True

    def signal(self, number: int) -> None:
        """Give the action a signal, as soon as it runs."""
        if self.action < 0:
            self._signals.append(number)
            return
        try:
            send_signal(self.action, number)
        except OSError:
            pass  # it has just ended

    def kill(self) -> None:
        """Kill it, and so everything inside."""
        os.kill(self.pid, SIGKILL)

    def finish(self) -> bytes:
        """Reap it; returns its report, as ``launch`` says. No process is left after this."""
        os.waitpid(self.pid, 0)
        text = b""
        while piece := os.read(self._report_fd, 4096):
            text += piece
        for fd in (self.pidfd, self._report_fd, self._alive_fd, self._gate_fd, self.action):
            if fd >= 0:
                os.close(fd)
        if self._news is not None:
            self._news.close()
        return text


def start(order: Order, launch: Launch, stdio: tuple[int, int, int], cgroup_fds: list[int]) -> Watched:
    """Fork the watcher and, below it, the back-end, which waits for ``begin`` if the order says so.

    ``stdio`` are the action's stdin, stdout and stderr; ``cgroup_fds`` are open for moving processes into cgroups.
    """
    unshare(CLONE_NEWPID)
    gate_read, gate_write = os.pipe() if order.waits else (-1, -1)
    alive_read, alive_write = os.pipe()
    report_read, report_write = os.pipe()
    news, tell = _socket.socketpair() if order.berth else (None, None)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(alive_write)
            os.close(report_read)
            if gate_write >= 0:
                os.close(gate_write)
            if news is not None:
                news.close()
            report = _watch(order, launch, stdio, cgroup_fds, alive_read, gate_read, tell)
            os.write(report_write, report)
        finally:
            os._exit(0 if "report" in locals() else _DIED)
    os.close(alive_read)
    os.close(report_write)
    if gate_read >= 0:
        os.close(gate_read)
    if tell is not None:
        tell.close()
    return Watched(pid, report_read, alive_write, gate_write, news)


def _watch(
    order: Order,
    launch: Launch,
    stdio: tuple[int, int, int],
    cgroup_fds: list[int],
    alive_fd: int,
    gate_fd: int,
    tell: _socket.socket | None,
) -> bytes:
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    if _is_closed(alive_fd):
        return b""  # the helper died before that line
    step = b"cgroup"
    try:
        for fd in cgroup_fds:
            os.write(fd, b"0")
        step = b"namespace"
        unshare(CLONE_NEWNS)
        step = b"proc"
        mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        step = b"root"
        mount(b"m", MEETING_POINT, None, MS_BIND | MS_REC)
        step = b"dev"
        launch.furnish()
        step = b"init"
        init_pid = start_init(MEETING_POINT, ROOT)
        step = b"fork"
        status_fd, pid = _fork_backend(order, launch, stdio, init_pid, gate_fd)
    except InitFailed as error:
        return TROUBLE + b"proc %d\n" % (error.errno or 0)
    except OSError as error:
        return TROUBLE + b"%s %d\n" % (step, error.errno or 0)
    for fd in (*stdio, *launch.inherited, *((gate_fd,) if gate_fd >= 0 else ())):
        os.close(fd)
    launch.attend()

    def started(action: int) -> None:
        if tell is not None:
            send_rights(tell, b"+", [action])

    return launch.follow(pid, status_fd, Meter(order.metered_memory, order.metered_pids), started)


def _fork_backend(
    order: Order, launch: Launch, stdio: tuple[int, int, int], init_pid: int, gate_fd: int
) -> tuple[int, int]:
    """The back-end's pid, and the end of a pipe that it may tell its state on; OSError when it cannot be executed."""
    status_read, status_write = os.pipe()
    trouble_read, trouble_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become_backend(order, launch, stdio, init_pid, status_write, gate_fd)
        except OSError as error:
            os.write(trouble_write, b"%d" % (error.errno or 0))
        finally:
            os._exit(_DIED)
    os.close(status_write)
    os.close(trouble_write)
    trouble = os.read(trouble_read, 16)  # closed when it is executed
    os.close(trouble_read)
    if trouble:
        raise OSError(int(trouble), "the back-end cannot be executed")
    return status_read, pid


def _is_closed(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _become_backend(
    order: Order, launch: Launch, stdio: tuple[int, int, int], init_pid: int, status_fd: int, gate_fd: int
) -> None:
    os.chdir("/")
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
    if order.terminal and not launch.takes_terminal:
        os.setsid()
        control_terminal(0)  # job control works, and reaches nobody else
    _be_expendable()
    os.umask(order.umask)
    if order.cpus:
        os.sched_setaffinity(0, order.cpus)
    if not order.aslr:
        fix_addresses()
    for fd in launch.inherited:
        os.set_inheritable(fd, True)  # noqa: FBT003
    reset_signals()
    order.rlimits = tuple(_as_far_as_may_be(*limit) for limit in order.rlimits)
    if not launch.limits_the_action:
        for number, soft, hard in order.rlimits:
            resource.setrlimit(number, (soft, hard))
    if gate_fd >= 0 and not os.read(gate_fd, 1):
        return  # nobody is left who could let it begin
    launch.become(init_pid, status_fd)


def _be_expendable() -> None:
    """When the machine's memory is gone, the kernel is to take the action rather than the engine or anybody else."""
    try:
        write_file("/proc/self/oom_score_adj", b"500")
    except OSError:
        pass  # a container may have it read-only


def _as_far_as_may_be(number: int, soft: int, hard: int) -> tuple[int, int, int]:
    """A limit that this process may set: it cannot raise its own."""
    most = resource.getrlimit(number)[1]
    return (number, soft, hard) if most == resource.RLIM_INFINITY else (number, min(soft, most), min(hard, most))
