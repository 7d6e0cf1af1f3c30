"""How runc is started, followed and understood."""

from __future__ import annotations

import errno
import os
import select

from warpforge.sandbox.bundle import make_bundle
from warpforge.sandbox.kernel import install_filter
from warpforge.sandbox.launch import (
    MEETING_POINT,
    ROOT,
    Launch,
    can_take_terminal,
    forbid_namespaces,
    make_command,
    make_memfd,
    say_end,
)
from warpforge.sandbox.stepdown import make_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from warpforge.sandbox.meter import Meter

_BUNDLE = MEETING_POINT + b"/runc"
_ID = b"box"
_MOST_OF_A_LOG = 1 << 16
_KEPT = 3  # the descriptor that runc hands on first
_EXEC_REASONS = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ENOEXEC: "format",
    errno.E2BIG: "too-long",
}


class RuncLaunch(Launch):
    """runc is left as soon as it has started the action, which is the watcher's child then and tells it all."""

    limits_the_action = True

    def prepare(self) -> None:
        os.mkdir("m/runc", 0o700)
        forbid_namespaces()
        self.takes_terminal = can_take_terminal(self._order)
        if self.takes_terminal:
            self.inherited = (make_memfd("step-down", make_program(None, (_KEPT,), takes_terminal=True)),)

    def become(self, init_pid: int, status_fd: int) -> NoReturn:
        kept: list[bytes] = []
        for fd in self.inherited:
            os.dup2(fd, _KEPT)
            kept = [b"--preserve-fds", b"1"]
            self._order.argv = make_command(self._order, _KEPT)
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
            return _find_failure(_read(_BUNDLE + b"/log"), end)
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


def _find_failure(log: bytes, status: int) -> bytes:
    """The report for what runc says when it could not start the action: lines of JSON, the last one says why."""
    said = log.strip().rpartition(b"\n")[2]
    _, found, rest = said.partition(b'"msg":"')
    text = rest.rpartition(b'","time"')[0].replace(b'\\"', b'"') if found else b"wait status %d" % status
    _, executed, what = text.rpartition(b"unable to start container process: ")
    if not executed or not what.startswith((b"exec", b"open ", b"stat ")):
        return b"backend " + text
    for number, reason in _EXEC_REASONS.items():
        if what.lower().endswith(os.strerror(number).lower().encode()):
            return b"exec %s %s" % (reason.encode(), what)
    if what.endswith(b"not found in $PATH"):
        return b"exec missing " + what
    return b"exec denied " + what


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MOST_OF_A_LOG)
