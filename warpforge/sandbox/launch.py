"""Launches: how each back-end is started with what the helper prepared, followed, and understood when it has ended.

``prepare`` runs in the helper, ``become`` in the process that turns into the back-end, ``follow`` in the watcher
beside it. What ``follow`` gives is the report that the watcher writes and the helper reads, one line:

    exit N · signal N      how the action ended
    exec REASON TEXT       the action could not be executed
    backend TEXT           the back-end ended without having run it
    limit NAME             the action went over a limit that the watcher looks after, and is killed
"""

from __future__ import annotations

import _socket
import errno
import os
import select

from warpforge.sandbox.arguments import make_bwrap_arguments
from warpforge.sandbox.bundle import make_bundle
from warpforge.sandbox.devices import make_devices
from warpforge.sandbox.identity import make_inner, write_file
from warpforge.sandbox.kernel import CLONE_NEWPID, install_filter, install_listener, read_end, setns
from warpforge.sandbox.outside import receive_rights, send_rights
from warpforge.sandbox.sources import make_userns
from warpforge.sandbox.stepdown import can_step_down, make_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, Protocol

    from warpforge.sandbox.meter import Meter
    from warpforge.sandbox.wire import Order

    class Launch(Protocol):
        """One back-end's way."""

        inherited: tuple[int, ...]  # descriptors that the back-end needs
        limits_the_action: bool  # it sets the resource limits itself, for the action alone
        takes_terminal: bool  # the action takes its terminal by itself; known once prepared

        def prepare(self) -> None:
            """Write down, in memory, what the back-end will read. Raises OSError."""

        def close(self) -> None:
            """Give back the caller's own descriptors of it."""

        def furnish(self) -> None:
            """Put into the root, in the watcher, what the back-end does not. Raises OSError."""

        def attend(self) -> None:
            """Once the back-end is there, in the watcher: begin what serves it. Raises OSError."""

        def become(self, init_pid: int, status_fd: int) -> NoReturn:
            """Turn into the back-end. Raises OSError."""

        def follow(self, pid: int, status_fd: int, meter: Meter, started: Callable[[int], None]) -> bytes:
            """Wait for the end; the report. ``started`` hears a pidfd of the action as soon as it runs."""


# Any directory that every uid can reach and every root has: in the watcher's own namespace the helper's m/ lies here
# for the back-end, which wants paths. (bwrap covers the same directory for a moment; that does no harm.)
MEETING_POINT = b"/tmp"
ROOT = MEETING_POINT + b"/root"
_BUNDLE = MEETING_POINT + b"/runc"
_ID = b"box"
_MOST_OF_A_LOG = 1 << 16
_GLANCE = 1  # milliseconds
_KEPT = 3  # the descriptor that runc hands on first


class BwrapLaunch:
    """bwrap tells the pid of its child and its exit code on a pipe; the kernel tells a signal from such a code."""

    limits_the_action = False
    takes_terminal = False

    def __init__(self, order: Order, env: dict[bytes, bytes]) -> None:
        self._order = order
        self._env = env
        self.inherited: tuple[int, ...] = ()

    def prepare(self) -> None:
        order = self._order
        self._link = _socket.socketpair() if order.noticing else None
        self._seccomp = _make_memfd("seccomp", order.seccomp)
        self.inherited = (self._seccomp,)
        userns = step_down = -1
        self.takes_terminal = _can_take_terminal(order)
        if order.uids:
            userns = make_userns(make_inner(order.uids), make_inner(order.gids))
            forbid_namespaces()
            self.inherited += (userns,)
        if order.uids or self.takes_terminal:
            step_down = os.memfd_create("step-down", os.MFD_CLOEXEC)
            person = (order.uid, order.gid, order.groups) if order.uids else None
            closes = (step_down, *((userns,) if order.uids else ()))
            os.write(step_down, make_program(person, closes, takes_terminal=self.takes_terminal))
            self.inherited += (step_down,)
        self._command = _step_down(order, step_down)
        has_session = not order.terminal or self.takes_terminal
        arguments = make_bwrap_arguments(order, self._env, ROOT, self._seccomp, userns, has_session=has_session)
        self._arguments = _make_memfd("arguments", b"".join(a + b"\0" for a in arguments))
        self.inherited += (self._arguments,)

    def close(self) -> None:
        for fd in self.inherited:
            os.close(fd)
        for end in self._link or ():
            end.close()

    def attend(self) -> None:
        if self._link is None:
            return
        ours, theirs = self._link
        theirs.close()
        _, fds = receive_rights(ours, 1, 1)
        ours.close()
        if not fds:
            return
        from warpforge.sandbox.notices import Listener  # both were imported by the helper, as long as it could
        from warpforge.sandbox.registrar import Registrar, start

        order = self._order
        foreign = [at for at, kind, _, _ in order.mounts if kind == "host-rw"]
        has_owners = bool(order.owned or order.owned_mounts) or any(m[1] == "volume" for m in order.mounts)
        person = (max(order.uid, 0), max(order.gid, 0), order.groups)
        start(Registrar(Listener(fds[0], dict(order.calls)), person, foreign, has_owners=has_owners))
        os.close(fds[0])

    def furnish(self) -> None:
        make_devices(ROOT + b"/dev")

    def become(self, init_pid: int, status_fd: int) -> NoReturn:
        # its children belong to the box's pid namespace, it does not
        namespace = os.open(b"/proc/%d/ns/pid" % init_pid, os.O_RDONLY | os.O_CLOEXEC)
        setns(namespace, CLONE_NEWPID)
        os.set_inheritable(status_fd, True)  # noqa: FBT003
        if self._link is not None:
            self._be_noticed(self._link[1])
        words = [b"--args", b"%d" % self._arguments, b"--json-status-fd", b"%d" % status_fd, b"--", *self._command]
        os.execve(self._order.program, [self._order.program, *words], {})

    def _be_noticed(self, link: _socket.socket) -> None:
        """From here on the registrar hears of owners and users, or nobody does."""
        try:
            listener = install_listener(self._order.noticing)
        except OSError:
            install_filter(self._order.pretended)
            send_rights(link, b"-", [])
        else:
            send_rights(link, b"+", [listener])

    def follow(self, pid: int, status_fd: int, meter: Meter, started: Callable[[int], None]) -> bytes:
        text = b""
        action = -1
        backend = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(backend, select.POLLIN)
        poll.register(status_fd, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll(meter.wait())]
            if status_fd in ready:
                piece = os.read(status_fd, 4096)
                text += piece
                if not piece:
                    poll.unregister(status_fd)
                elif action < 0:
                    action = _open_child(text)
                    if action >= 0 and self._order.berth and self._wait_executed(text, pid):
                        started(action)
            elif backend in ready:
                _, status = os.waitpid(pid, 0)
                return _report(find_number(text, b'"exit-code":'), action, status)
            elif over := meter.look():
                return b"limit " + over

    def _wait_executed(self, text: bytes, backend: int) -> bool:
        """Until the action has taken the place of the back-end's child; False when it never will."""
        child = find_number(text, b'"child-pid":')
        while True:
            try:  # neither has one any more once it has ended
                program = os.stat(b"/proc/%d/exe" % backend)
                found = os.stat(b"/proc/%d/exe" % child)
            except OSError:
                return False
            if (found.st_dev, found.st_ino) != (program.st_dev, program.st_ino):
                return True
            select.poll().poll(_GLANCE)


def _can_take_terminal(order: Order) -> bool:
    return order.terminal and can_step_down()


def _step_down(order: Order, fd: int) -> tuple[bytes, ...]:
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


def _open_child(text: bytes) -> int:
    pid = find_number(text, b'"child-pid":')
    try:
        return os.pidfd_open(pid) if pid > 0 else -1
    except OSError:
        return -1


def _report(code: int, action: int, status: int) -> bytes:
    """``code``: what bwrap says, 128 + n for signal n; -1 when the action never ran or bwrap was killed."""
    if code < 0:
        return b"backend wait status %d" % status
    end = read_end(action) if code > 128 and action >= 0 else None
    if end is not None:
        return say_end(end)
    return b"signal %d" % (code - 128) if 128 < code < 128 + 65 else b"exit %d" % code


class RuncLaunch:
    """runc is left as soon as it has started the action, which is the watcher's child then and tells it all."""

    limits_the_action = True
    takes_terminal = False

    def __init__(self, order: Order, env: dict[bytes, bytes]) -> None:
        self._order = order
        self._env = env
        self.inherited: tuple[int, ...] = ()

    def prepare(self) -> None:
        os.mkdir("m/runc", 0o700)
        forbid_namespaces()
        self.takes_terminal = _can_take_terminal(self._order)
        if self.takes_terminal:
            self.inherited = (_make_memfd("step-down", make_program(None, (_KEPT,), takes_terminal=True)),)

    def close(self) -> None:
        for fd in self.inherited:
            os.close(fd)

    def attend(self) -> None:
        pass

    def furnish(self) -> None:
        pass

    def become(self, init_pid: int, status_fd: int) -> NoReturn:
        kept: list[bytes] = []
        for fd in self.inherited:
            os.dup2(fd, _KEPT)
            kept = [b"--preserve-fds", b"1"]
            self._order.argv = _step_down(self._order, _KEPT)
        config = make_bundle(self._order, self._env, ROOT, init_pid)
        fd = os.open(_BUNDLE + b"/config.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(config)
        os.chdir(_BUNDLE)
        # calls that its own profile may not know by name yet, for that is written by libseccomp's table
        install_filter(self._order.early_filter)
        program = self._order.program
        words = [b"--root", _BUNDLE + b"/state", b"--rootless", b"true", b"--log", b"log", b"--log-format", b"json"]
        run = [b"run", b"--detach", b"--pid-file", b"pid", b"--bundle", b".", b"--no-new-keyring", *kept, _ID]
        os.execve(program, [program, *words, *run], {})

    def follow(self, pid: int, status_fd: int, meter: Meter, started: Callable[[int], None]) -> bytes:
        end = _wait(pid, meter)
        if isinstance(end, bytes):
            return end
        if end:
            return find_runc_failure(_read(_BUNDLE + b"/log"), end)
        action = int(_read(_BUNDLE + b"/pid"))
        if self._order.berth:
            fd = os.pidfd_open(action)
            started(fd)
            os.close(fd)
        end = _wait(action, meter)
        return end if isinstance(end, bytes) else say_end(end)


def _wait(pid: int, meter: Meter) -> int | bytes:
    """A child's wait status, or the report that it went over a limit first."""
    poll = select.poll()
    child = os.pidfd_open(pid)
    poll.register(child, select.POLLIN)
    while not poll.poll(meter.wait()):
        if over := meter.look():
            return b"limit " + over
    os.close(child)
    return os.waitpid(pid, 0)[1]


def find_runc_failure(log: bytes, status: int) -> bytes:
    """The report for what runc says when it could not start the action: lines of JSON, the last one says why."""
    said = log.strip().rpartition(b"\n")[2]
    _, found, rest = said.partition(b'"msg":"')
    text = rest.rpartition(b'","time"')[0].replace(b'\\"', b'"') if found else b"wait status %d" % status
    _, executed, what = text.rpartition(b"unable to start container process: ")
    if not executed or not what.startswith((b"exec", b"open ", b"stat ")):
        return b"backend " + text
    for number, reason in EXEC_REASONS.items():
        if what.lower().endswith(os.strerror(number).lower().encode()):
            return b"exec %s %s" % (reason.encode(), what)
    if what.endswith(b"not found in $PATH"):
        return b"exec missing " + what
    return b"exec denied " + what


EXEC_REASONS = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ENOEXEC: "format",
    errno.E2BIG: "too-long",
}


def say_end(status: int) -> bytes:
    """The report for a wait status."""
    if os.WIFSIGNALED(status):
        return b"signal %d" % os.WTERMSIG(status)
    return b"exit %d" % os.WEXITSTATUS(status)


def find_number(text: bytes, name: bytes) -> int:
    """The number behind a name in bwrap's status lines; -1 when it is not there."""
    _, _, rest = text.partition(name)
    digits = rest.split(b"}", 1)[0].split(b",", 1)[0].strip()
    return int(digits) if digits.isdigit() else -1


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MOST_OF_A_LOG)


def _make_memfd(name: str, data: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


LAUNCHES: dict[str, type[BwrapLaunch] | type[RuncLaunch]] = {"bwrap": BwrapLaunch, "runc": RuncLaunch}
