"""One run as the engine sees it: pipes pumped, frames read, trees handed on, whatever happens cleaned up."""

from __future__ import annotations

# the public module costs several milliseconds more, most of it for enumerations
import _socket
import os
import select

from warpforge.errors import Failed, WarpforgeError
from warpforge.fsx.stream import receive
from warpforge.sandbox import wire
from warpforge.sandbox.berth import About, Berth, Resident
from warpforge.sandbox.failures import find_exec_error, helper_died, make_backend_failure, make_failure
from warpforge.sandbox.protocol import Cancel, OnGather, OnOutput, Seat, Turn
from warpforge.sandbox.rights import receive_rights
from warpforge.sandbox.spec import BoxSpec, Facts, Gathered, Outcome
from warpforge.sandbox.wire import Frames, Order

_CHUNK = 1 << 16
_PIPE_BYTES = 1 << 20
_STDERR_KEPT = 4096
_TICK = 500  # milliseconds
_F_SETPIPE_SZ = 1031


class Session:
    """The engine's ends of one run: the channel, the action's output, the gathered trees."""

    def __init__(
        self,
        spec: BoxSpec,
        backend: str,
        on_output: OnOutput | None,
        on_gather: OnGather | None,
        *,
        limits: dict[str, str],
        owner: tuple[int, int] | None,
        seat: Seat | None = None,
        turn: Turn | None = None,
        berth: Berth | None = None,
    ) -> None:
        self._spec = spec
        self._owner = owner
        self._berth = berth
        self._resident: Resident | None = None
        self._pidfd = -1  # of the command, when it has come before we know more
        self._backend = backend
        self._limits = limits
        self._on_output = on_output
        self._on_gather = on_gather
        self._channel, self._theirs = _socket.socketpair()
        self._pipes: dict[int, str] = {}
        self._helper_fds = [self._theirs.fileno()]
        self._seat = seat
        self._turn = turn
        if seat is not None and seat.is_terminal:
            self._pipes[os.dup(seat.our_fd)] = "out"
            self._helper_fds += [os.dup(seat.box_fd), os.dup(seat.box_fd)]
        else:
            for name in ("out", "err"):
                read, write = os.pipe()
                self._pipes[read] = name
                self._helper_fds.append(write)
        if owner is not None:
            for fd in self._helper_fds[1:]:
                os.fchown(fd, *owner)  # or the action could not open its /dev/stdout
        self._trees, write = os.pipe()
        self._helper_fds.append(write)
        if seat is not None:
            self._helper_fds.append(os.dup(seat.box_fd))
        if berth is not None:
            self._helper_fds += [os.dup(berth.network.userns_fd), os.dup(berth.link.netns_fd)]
        _widen(self._trees)
        self._frames = Frames()
        self._stderr = b""
        self._passed = 0
        self._truncated = False
        self._stopped = ""  # why we asked for an end
        self._ended: list[str] = []  # fields of the EXIT frame
        self._gathered: dict[int, Gathered] = {}
        self._spoilt: Failed | None = None
        self.kept = False  # whether the layers of the run stay, known once it is over

    @property
    def helper_descriptors(self) -> list[int]:
        """What the helper gets: channel, stdout, stderr, trees, and stdin if there is one."""
        return self._helper_fds

    def give(self, order: Order) -> None:
        """Called once the helper has its descriptors: close ours of them, hand it its order."""
        self._theirs.close()
        for fd in self._helper_fds[1:]:
            os.close(fd)
        self._helper_fds = []
        if self._seat is not None:
            self._seat.begin()
        try:
            self._channel.sendall(wire.pack_order(order))
        except OSError:
            raise helper_died() from None

    def begin(self) -> None:
        """Let a command begin that waits."""
        try:
            self._channel.sendall(wire.frame(wire.BEGIN, b""))
        except OSError:
            pass  # it has just ended, and said why

    def wait(self, cancel: Cancel | None) -> Outcome:
        """Pump until the helper has deleted everything. Raises as ``Sandbox.run`` says."""
        poll = select.poll()
        channel = self._channel.fileno()
        for fd in (channel, *self._pipes):
            poll.register(fd, select.POLLIN)
        if cancel is not None:
            poll.register(cancel.fd, select.POLLIN)
        while True:
            # not without an end: a signal that comes right before would not be minded until something happens
            for fd, _ in poll.poll(_TICK):
                if fd in self._pipes:
                    if not self._pump(fd):
                        poll.unregister(fd)
                        os.close(fd)
                        del self._pipes[fd]
                elif fd == channel:
                    facts = self._listen(poll)
                    if facts is not None:
                        return self._make_outcome(facts)
                elif cancel is not None and fd == cancel.fd:
                    poll.unregister(fd)
                    self._kill("cancelled")

    def _signal(self, number: int) -> None:
        try:
            self._channel.sendall(wire.frame(wire.SIGNAL, b"%d" % number))
        except OSError:
            pass  # it has just ended

    def _kill(self, why: str) -> None:
        if self._stopped:
            return
        self._stopped = why
        try:
            self._channel.sendall(wire.frame(wire.KILL, b""))
        except OSError:
            pass  # it has just ended

    def close(self) -> None:
        """End the run whatever its state, and wait until the helper is gone."""
        for fd in (*self._pipes, *self._helper_fds[1:]):
            os.close(fd)
        self._pipes = {}
        self._helper_fds = []
        self._theirs.close()
        if self._trees >= 0:
            os.close(self._trees)
            self._trees = -1
        try:
            self._channel.shutdown(_socket.SHUT_WR)
            while data := self._channel.recv(_CHUNK):
                self._frames.feed(data)
            while (found := self._frames.take()) is not None:
                self.kept = self.kept or (found[0] == wire.DONE and b"kept=1" in found[1].split(b"\0"))
        except OSError:
            pass
        self._channel.close()
        if self._resident is not None:
            self._resident.close()
            self._resident = None

    def _pump(self, fd: int) -> bool:
        """Hand on what is there; False at the end of that pipe."""
        try:
            data = os.read(fd, _CHUNK)
        except OSError:
            data = b""  # what a terminal says when nobody has its other end open
        if not data:
            return False
        name = self._pipes[fd]
        if name == "err" and len(self._stderr) < _STDERR_KEPT:
            self._stderr += data[:_STDERR_KEPT]
        limit = self._spec.output_limit
        if limit and self._passed + len(data) > limit:
            self._truncated = True
            data = data[: max(0, limit - self._passed)]
            self._kill("output")
        self._passed += len(data)
        if data and self._on_output is not None:
            self._on_output(name, data)
        return True

    def _listen(self, poll: select.poll) -> dict[str, str] | None:
        """Deal with what the helper says; the facts when that was its last word."""
        try:
            data, fds = receive_rights(self._channel, _CHUNK, 1)
        except OSError:  # it was killed with words of ours unread
            raise helper_died() from None
        if fds:
            self._pidfd = fds[0]
        if not data:
            raise helper_died()
        self._frames.feed(data)
        while (found := self._frames.take()) is not None:
            kind, payload = found
            words = [os.fsdecode(word) for word in payload.split(b"\0")]
            if kind == wire.EXIT:
                self._drain(poll)
                self._ended = words
                self._check_backend()
                if self._turn is not None:
                    code, signal, _, _, stopped = words[:5]
                    self._turn.over(well=code == signal == "0" and not stopped and not self._stopped)
            elif kind == wire.STARTED:
                self._begin_residence(payload)
            elif kind == wire.GATHER:
                self._gather(int(words[0]), words[1], words[2])
            elif kind == wire.FAIL:
                self._drain(poll)
                raise make_failure(words[0], int(words[1]), words[2], words[3])
            elif kind == wire.DONE:
                self.kept = b"kept=1" in payload.split(b"\0")
                return dict(word.split("=", 1) for word in words)
        return None

    def _begin_residence(self, payload: bytes) -> None:
        """The command runs; its pidfd has come."""
        if self._berth is None or self._pidfd < 0:
            return
        spec = self._spec
        (uid, gid, *groups), *env = [word.split(b" ") for word in payload.split(b"\0")]
        person = int(uid), int(gid), tuple(map(int, groups))
        home = b" ".join(env[0]) if env and b"HOME" not in dict(spec.env) else b""
        about = About(
            self._owner, spec.ids is not None, person, home, spec.env, spec.cwd, spec.capabilities, spec.unfiltered
        )
        self._resident = Resident(self._pidfd, self._signal, self._berth, about)
        self._pidfd = -1
        self._berth.on_started(self._resident)

    def _drain(self, poll: select.poll) -> None:
        """All writers are gone: read the pipes to their ends."""
        for fd in list(self._pipes):
            while self._pump(fd):
                pass
            poll.unregister(fd)
            os.close(fd)
            del self._pipes[fd]

    def _check_backend(self) -> None:
        """Tell the back-end's own failure from the command's."""
        if self._ended[2] != "backend" or self._ended[4]:
            return
        stderr = self._stderr.decode(errors="replace")
        found = find_exec_error(stderr) if self._backend == "bwrap" else None
        if found is None:
            raise make_backend_failure(self._backend, stderr, self._ended[3])
        self._ended[0:4] = [str(found[1]), "0", found[0], stderr.strip().removeprefix("bwrap: execvp ")]

    def _gather(self, index: int, status: str, text: str) -> None:
        path = self._spec.gathers[index]
        self._gathered[index] = Gathered(path, status, text)
        if status != "ok":
            return
        entries = receive(self._trees)
        try:
            if self._on_gather is not None:
                self._on_gather(index, entries)
            for _ in entries:
                pass  # whatever the callback left
        except (OSError, WarpforgeError):
            spoilt = self._find_spoilt(path)
            if spoilt is not None:
                raise spoilt from None
            raise
        try:
            self._channel.sendall(wire.frame(wire.NEXT, b""))
        except OSError:
            if not self._stopped:  # else it ended as it was told to, and has said so
                raise helper_died() from None

    def _find_spoilt(self, path: bytes) -> Failed | None:
        """The helper's reason for having cut a tree short, if it did; else it was the taker that failed.

        With nobody left to take trees, and nobody to wait for, the helper cannot be stuck: it says why, or ends.
        """
        os.close(self._trees)
        self._trees = -1
        try:
            self._channel.shutdown(_socket.SHUT_WR)
            found = wire.read_frame(self._channel.fileno(), self._frames)
        except OSError:
            return None
        if found is None or found[0] != wire.SPOILT:
            return None
        _, why, text, where = (os.fsdecode(word) for word in found[1].split(b"\0"))
        shown = os.fsdecode(path)
        code = "action-limit" if why == "limit" else "output-invalid"
        return Failed(
            code,
            f"output {shown}: {text}: {where}",
            reason="disk" if why == "limit" else why,
            path=shown,
            entry=where,
        )

    def _make_outcome(self, facts: dict[str, str]) -> Outcome:
        code, signal, reason, text, stopped, seconds = self._ended
        if stopped == "orphaned":
            raise helper_died()
        if self._stopped and (stopped == "cancelled" or len(self._gathered) < len(self._spec.gathers)):
            stopped = self._stopped
        if self._truncated:
            stopped = "output"
        return Outcome(
            exit_code=int(code) if not stopped else 137,
            signal=9 if stopped else int(signal),
            exec_error=reason,
            text=text if reason else "",
            stopped=stopped,
            seconds=float(seconds),
            gathered=tuple(self._gathered[index] for index in sorted(self._gathered)),
            truncated=self._truncated,
            entry=int(facts["entry"]),
            facts=Facts(
                sandbox=self._backend,
                overlay=facts["overlay"] == "1",
                idmap=facts["idmap"] == "1",
                seccomp=True,
                network=self._spec.network,
                limits=self._limits,
            ),
        )


def _widen(fd: int) -> None:
    """A larger pipe: trees go through it by the megabyte. Not every user may have one."""
    import fcntl

    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass
