"""The helper: makes one box, has the action run in it, gathers, deletes, and ends whatever else ends.

The steps are those of the package's recipe:
reach the sources · (under root) become the build uid · user and mount namespace · overlays · mount points ·
pid namespaces with watcher and init · back-end · wait for the end or the lifeline · gather · delete.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import time

from warpforge.fsx.remove import remove_tree
from warpforge.sandbox import wire
from warpforge.sandbox.cgroup import find_exceeded
from warpforge.sandbox.command import NotExecutable, check_command, check_sizes
from warpforge.sandbox.disk import DiskWatch
from warpforge.sandbox.gather import Gathering, name_error
from warpforge.sandbox.identity import become
from warpforge.sandbox.kernel import (
    CLONE_NEWNS,
    MS_PRIVATE,
    MS_REC,
    join_session_keyring,
    mount,
    unmount,
    unshare,
)
from warpforge.sandbox.launch import find_launch
from warpforge.sandbox.mounts import MountFailed, Root
from warpforge.sandbox.namespaces import join_berth, make_mapper, make_namespaces
from warpforge.sandbox.people import Impossible, find_person
from warpforge.sandbox.place import Refused
from warpforge.sandbox.report import EXIT_DENIED, EXIT_MISSING, read_report
from warpforge.sandbox.rights import send_rights
from warpforge.sandbox.sources import bind_sources, open_files
from warpforge.sandbox.watch import TROUBLE, Watched, start
from warpforge.sandbox.wire import Order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_REASON_CODES = {"missing": EXIT_MISSING, "denied": EXIT_DENIED, "format": EXIT_DENIED, "too-long": EXIT_DENIED}


def run(descriptors: list[int], guards: tuple[int, int]) -> None:
    """Serve one run and exit. ``guards`` are pidfds of the engine and the zygote: the box does not outlive them."""
    status = 1
    try:
        os.setsid()
        _close_others({*descriptors, *guards})
        helper = Helper(descriptors, guards)
        helper.serve()
        status = wire.KEPT_STATUS if helper.kept else 0
    finally:
        os._exit(status)


def _close_others(kept: set[int]) -> None:
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 1 << 20)


class Helper:
    """One run."""

    def __init__(self, descriptors: list[int], guards: tuple[int, int]) -> None:
        self._channel, self._out, self._err, self._trees, *self._rest = descriptors
        self._guards = guards
        self._frames = wire.Frames()
        self._step = "order"
        self._root: Root | None = None
        self._idmapped = True
        self._cgroup_fds: list[int] = []
        self._work = -1  # the work directory, once we stand in it
        self._failed = False
        self._entry = -1
        self._began = 0.0  # when the command did
        self._born = 0  # likewise, as files have it: nanoseconds since 1970
        self._about: tuple[bytes, ...] = ()  # of the command: its ids, its home
        self.kept = False

    def serve(self) -> None:
        """Read the order, obey it, say how it went."""
        found = wire.read_frame(self._channel, self._frames)
        if found is None:
            return
        order = wire.parse_order(found[1])
        self._berth = [self._rest.pop(-2), self._rest.pop()] if order.berth else []
        self._in = self._rest[0] if self._rest else os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        last = b""
        # later we are somebody else, and mounts may lie over the directory that modules are imported from
        self._make_launch = find_launch(order.backend)
        if order.noticing:
            import warpforge.sandbox.registrar  # noqa: F401
        try:
            self._run(order)
            overlay = self._root is not None and self._root.overlay
            self.kept = self._failed and order.keep_failed and self._save()
            facts = (f"overlay={overlay:d}", f"idmap={self._idmapped:d}", f"entry={self._entry}", f"kept={self.kept:d}")
            last = wire.fields(wire.DONE, *facts)
        except MountFailed as error:
            last = self._mount_failure(error)
        except Impossible as error:
            last = wire.fields(wire.FAIL, "impossible", 0, error.what, str(error))
        except OSError as error:
            last = wire.fields(wire.FAIL, self._step, error.errno or 0, b"", name_error(error))
        finally:
            self._delete(order)
        self._tell(last)

    def _save(self) -> bool:
        """Make what was in memory last; False when there is no room for it."""
        assert self._root is not None
        try:
            self._root.save_files()
        except OSError:
            return False
        return True

    def _tell(self, data: bytes) -> None:
        wire.tell(self._channel, data)

    def _mount_failure(self, error: MountFailed) -> bytes:
        cause = error.cause
        if isinstance(cause, Refused):
            return wire.fields(wire.FAIL, "refused", 0, error.at, str(cause))
        number = cause.errno or 0 if isinstance(cause, OSError) else 0
        return wire.fields(wire.FAIL, "mount", number, error.at, str(cause))

    def _run(self, order: Order) -> None:
        root = self._build(order)
        succeeded = True
        if order.argv:
            succeeded = self._act(order, root)
        else:
            self._close_output()
            self._tell_exit(0, 0, "", "", "", 0.0)
        if succeeded:
            self._step = "gather"
            self._gather(order, root)
        if any(kind in ("host-rw", "volume") for _, kind, _, _ in order.mounts):
            root.strip()  # or its stubs would stay in a directory of the host

    def _build(self, order: Order) -> Root:
        """Steps 2 to 5."""
        self._step = "cgroup"
        self._cgroup_fds = [os.open(d + b"/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for d in order.cgroups]
        self._step = "source"
        opened = open_files(order)
        self._work = os.open(order.work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(self._work, fcntl.LOCK_EX)  # in layers that stay a killed engine's helper may still clear up
        except OSError:
            pass  # a file system without locks
        os.fchdir(self._work)
        if order.layers or os.path.lexists("u0"):
            self._remove(name for name in os.listdir(b".") if name[:1] in b"wm")
        self._step = "user-namespace"
        mapper = None if self._berth else make_mapper(order)
        if order.owner is not None:
            self._step = "mount-namespace"
            unshare(CLONE_NEWNS)
            mount(None, b"/", None, MS_REC | MS_PRIVATE)
            self._step = "source"
            sources, self._idmapped = bind_sources(order, opened)
            self._step = "uid"
            become(*order.owner)
        self._step = "user-namespace"
        join_session_keyring()
        if self._berth:
            join_berth(*self._berth)
            mapper = make_mapper(order)
        make_namespaces(order, mapper)
        if order.owner is None:
            self._step = "source"
            sources, self._idmapped = bind_sources(order, opened)
        self._step = "mount"
        self._root = root = Root(order, sources)
        root.build()
        return root

    def _act(self, order: Order, root: Root) -> bool:
        """Steps 6 to 8; True when there is something to gather."""
        self._step = "start"
        person = find_person(root.fd, order)
        order.uid, order.gid, order.groups = person.uid, person.gid, person.groups
        ids = b" ".join(b"%d" % number for number in (person.uid, person.gid, *person.groups))
        self._about = (ids, person.home)
        if order.uids:
            self._give_output(person.uid, person.gid)
        env = person.variables() | dict(order.env)
        try:
            check_sizes([*order.argv, *(name + b"=" + value for name, value in env.items())])
            order.program_path = check_command(root.fd, order.argv[0], env.get(b"PATH", b""), order.cwd)
        except NotExecutable as error:
            self._failed = True
            self._close_output()
            self._tell_exit(_REASON_CODES[error.reason], 0, error.reason, error.text, "", 0.0)
            return order.gather_failed
        self._born = time.time_ns()
        watched = self._start(order, env)
        self._began = time.monotonic()
        stopped = self._wait(watched, order)
        report = watched.finish()
        seconds = time.monotonic() - self._began
        if not stopped and report.startswith(TROUBLE):
            step, number = report[len(TROUBLE) :].split(b"\n", 1)[0].split(b" ")
            self._step = step.decode("ascii")
            raise OSError(int(number), os.strerror(int(number)))
        self._entry = root.last_entry()
        end = read_report(report)
        stopped = stopped or end.over or find_exceeded(order)
        code = end.code if not end.signal else 128 + end.signal
        self._failed = code != 0 and stopped not in ("cancelled", "orphaned")
        self._tell_exit(code, end.signal, end.reason if not stopped else "", end.text, stopped, seconds)
        return not stopped and not end.reason and (code == 0 or order.gather_failed)

    def _give_output(self, uid: int, gid: int) -> None:
        """Or the action could not open its /dev/stdout; what is no pipe of the engine's stays whose it is."""
        for fd in (self._in, self._out, self._err):
            try:
                os.fchown(fd, uid, gid)
            except OSError:
                pass

    def _tell_exit(self, code: int, signal: int, reason: str, text: str, stopped: str, seconds: float) -> None:
        self._tell(wire.fields(wire.EXIT, code, signal, reason, text, stopped, f"{seconds:.6f}"))

    def _start(self, order: Order, env: dict[bytes, bytes]) -> Watched:
        launch = self._make_launch(order, env)
        launch.prepare()
        watched = start(order, launch, (self._in, self._out, self._err), self._cgroup_fds)
        launch.close()
        for fd in self._cgroup_fds:
            os.close(fd)
        self._close_output()
        return watched

    def _close_output(self) -> None:
        """Before the end is told: the engine then reads what was said to its end."""
        for fd in (self._in, self._out, self._err):
            os.close(fd)

    def _wait(self, watched: Watched, order: Order) -> str:
        """Wait for the watcher's end, or bring it about; returns why: "", "time", "disk", "cancelled", "orphaned"."""
        stopped = ""
        if self._frames.pending:  # KILL, or a signal, come together with the order
            stopped = self._obey(watched)
            if stopped:
                watched.kill()
        disk = DiskWatch(order.disk, often=bool(order.cgroups))
        poll = select.poll()
        lifelines = (self._channel, *self._guards)
        for fd in (watched.pidfd, *lifelines, *watched.news):
            poll.register(fd, select.POLLIN)
        while True:
            until = self._began + order.deadline if order.deadline and not watched.waits else None
            left = None if stopped else min(disk.pause, until - time.monotonic() if until else disk.pause)
            ready = {fd for fd, _ in poll.poll(left and max(0.0, left) * 1000)}
            for fd in ready.intersection(watched.news):
                poll.unregister(fd)
                self._tell_started(watched)
                ready.discard(fd)
                if not ready:
                    ready.add(-1)
            if watched.pidfd in ready:
                return stopped or ("disk" if disk.has_passed() else "")
            if not stopped:
                if not ready:
                    late = until is not None and time.monotonic() >= until
                    stopped = "time" if late else "disk" if disk.is_over() else find_exceeded(order)
                elif ready.intersection(self._guards):
                    stopped = "orphaned"
                elif self._channel in ready:
                    stopped = self._obey(watched) if self._hear() else "cancelled"
                if stopped:
                    watched.kill()
                    for fd in lifelines:
                        poll.unregister(fd)

    def _hear(self) -> bool:
        """Take in what the engine says; False when it says nothing any more. One that was killed with words of ours
        unread makes of the end of the channel an error: the command must be ended all the same."""
        try:
            data = os.read(self._channel, 1 << 16)
        except OSError:
            return False
        self._frames.feed(data)
        return bool(data)

    def _obey(self, watched: Watched) -> str:
        """Do what the engine says meanwhile; "cancelled" when that is to make an end."""
        while (found := self._frames.take()) is not None:
            kind, payload = found
            if kind == wire.KILL:
                return "cancelled"
            if kind == wire.BEGIN:
                self._began = time.monotonic()
                watched.begin()
            if kind == wire.SIGNAL:
                watched.signal(int(payload))
        return ""

    def _tell_started(self, watched: Watched) -> None:
        """The command runs: whoever has its pidfd may give it company."""
        if watched.hear():
            link = _socket.socket(fileno=os.dup(self._channel))
            try:
                send_rights(link, wire.fields(wire.STARTED, *self._about), [watched.action])
            except OSError:
                pass  # nobody listens any more
            finally:
                link.close()

    def _gather(self, order: Order, root: Root) -> None:
        """Step 9."""
        gathering = Gathering(order, self._channel, self._frames, self._trees, self._born)
        gathering.send(root)
        self._failed = self._failed or gathering.failed

    def _delete(self, order: Order) -> None:
        """Step 10. Under root the directory's own name, and m/, which is locked here, are left to root's hand."""
        if self._root is not None and self._root.fd >= 0:
            os.close(self._root.fd)
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._work < 0 or not os.path.samestat(os.fstat(here), os.fstat(self._work)):
            return  # never delete where we do not know that we are
        for point in (b"m",) if order.owner is None else (b"m/root", b"m/files"):
            try:
                unmount(point)
            except OSError:
                pass
        if order.keep:
            return
        layers = b"wm" if self.kept or order.layers else b""
        self._remove(name for name in os.listdir(b".") if not layers or name[:1] in layers)
        if not layers:
            try:
                os.rmdir(order.work)
            except OSError:
                pass

    def _remove(self, names: Iterable[bytes]) -> None:
        """Remove these of the work directory, as far as we may."""
        for name in names:
            try:
                remove_tree(self._work, name)
            except OSError:
                pass
