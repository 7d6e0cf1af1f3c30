"""How bwrap is started, followed and understood."""

from __future__ import annotations

import _socket
import os
import select

from warpforge.sandbox.arguments import make_bwrap_arguments
from warpforge.sandbox.devices import make_devices
from warpforge.sandbox.identity import make_inner
from warpforge.sandbox.kernel import CLONE_NEWPID, install_filter, install_listener, read_end, setns
from warpforge.sandbox.launch import (
    ROOT,
    Launch,
    can_take_terminal,
    forbid_namespaces,
    make_command,
    make_memfd,
    say_end,
)
from warpforge.sandbox.rights import receive_rights, send_rights
from warpforge.sandbox.sources import make_userns
from warpforge.sandbox.stepdown import make_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from warpforge.sandbox.meter import Meter

_GLANCE = 1  # milliseconds


class BwrapLaunch(Launch):
    """bwrap tells the pid of its child and its exit code on a pipe; the kernel tells a signal from such a code."""

    def prepare(self) -> None:
        order = self._order
        self._link = _socket.socketpair() if order.noticing else None
        self._seccomp = make_memfd("seccomp", order.seccomp)
        self.inherited = (self._seccomp,)
        userns = step_down = -1
        self.takes_terminal = can_take_terminal(order)
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
        self._command = make_command(order, step_down)
        has_session = not order.terminal or self.takes_terminal
        arguments = make_bwrap_arguments(order, self._env, ROOT, self._seccomp, userns, has_session=has_session)
        self._arguments = make_memfd("arguments", b"".join(a + b"\0" for a in arguments))
        self.inherited += (self._arguments,)

    def close(self) -> None:
        super().close()
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


def find_number(text: bytes, name: bytes) -> int:
    """The number behind a name in bwrap's status lines; -1 when it is not there."""
    _, _, rest = text.partition(name)
    digits = rest.split(b"}", 1)[0].split(b",", 1)[0].strip()
    return int(digits) if digits.isdigit() else -1
