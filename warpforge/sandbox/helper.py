"""The helper: makes one box, has the action run in it, gathers, deletes, and ends whatever else ends.

The steps are those of the package's recipe:
reach the sources · (under root) become the build uid · user and mount namespace · overlays · mount points ·
pid namespace with its watcher · back-end · wait for the end or the lifeline · gather · delete.
"""

from __future__ import annotations

import os
import select
import time

from warpforge.fsx.remove import remove_tree
from warpforge.fsx.stream import send
from warpforge.sandbox import wire
from warpforge.sandbox.arguments import make_bwrap_arguments
from warpforge.sandbox.command import NotExecutable, check_command, find_home
from warpforge.sandbox.gather import NotGathered, find_output, read_output
from warpforge.sandbox.kernel import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_PRIVATE,
    MS_REC,
    PR_SET_DUMPABLE,
    join_session_keyring,
    mount,
    prctl,
    unmount,
    unshare,
)
from warpforge.sandbox.mounts import MountFailed, Root
from warpforge.sandbox.place import Refused
from warpforge.sandbox.sources import bind_sources, open_files, write_file
from warpforge.sandbox.watch import TROUBLE, Watched, start
from warpforge.sandbox.wire import Order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from warpforge.fsx.tree import Content, Entry

EXIT_MISSING = 127  # what a shell says of a command that is not there
EXIT_DENIED = 126  # and of one that cannot be executed
_REASON_CODES = {"missing": EXIT_MISSING, "denied": EXIT_DENIED, "format": EXIT_DENIED}


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
        self._channel, self._out, self._err, self._trees, *rest = descriptors
        self._in = rest[0] if rest else os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._guards = guards
        self._frames = wire.Frames()
        self._step = "order"
        self._root: Root | None = None
        self._idmapped = True
        self._work = -1  # the work directory, once we stand in it
        self._failed = False
        self._entry = -1
        self.kept = False

    def serve(self) -> None:
        """Read the order, obey it, say how it went."""
        found = wire.read_frame(self._channel, self._frames)
        if found is None:
            return
        order = wire.parse_order(found[1])
        last = b""
        try:
            self._run(order)
            overlay = self._root is not None and self._root.overlay
            self.kept = self._failed and order.keep_failed and self._save()
            facts = (f"overlay={overlay:d}", f"idmap={self._idmapped:d}", f"entry={self._entry}", f"kept={self.kept:d}")
            last = wire.fields(wire.DONE, *facts)
        except MountFailed as error:
            last = self._mount_failure(error)
        except OSError as error:
            last = wire.fields(wire.FAIL, self._step, error.errno or 0, b"", _name(error))
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
        try:
            wire.write_all(self._channel, data)
        except OSError:
            pass  # nobody listens any more: what matters is that all is deleted

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
            self._tell(wire.fields(wire.EXIT, 0, "", "", "", 0.0))
        if succeeded:
            self._step = "gather"
            self._gather(order, root)
        if any(kind == "host-rw" for _, kind, _, _ in order.mounts):
            root.strip()  # or its stubs would stay in a directory of the host

    def _build(self, order: Order) -> Root:
        """Steps 2 to 5."""
        self._step = "source"
        opened = open_files(order)
        self._work = os.open(order.work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.fchdir(self._work)
        if order.layers:
            self._remove(name for name in os.listdir(b".") if name[:1] in b"wm")
        if order.owner is not None:
            self._step = "mount-namespace"
            unshare(CLONE_NEWNS)
            mount(None, b"/", None, MS_REC | MS_PRIVATE)
            self._step = "source"
            sources, self._idmapped = bind_sources(order, opened)
            self._step = "uid"
            _become(*order.owner)
        self._step = "user-namespace"
        join_session_keyring()
        _make_namespaces()
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
        env = dict(order.env)
        env.setdefault(b"HOME", find_home(root.fd))
        try:
            check_command(root.fd, order.argv[0], env.get(b"PATH", b""), order.cwd)
        except NotExecutable as error:
            code = _REASON_CODES[error.reason]
            self._failed = True
            self._close_output()
            self._tell(wire.fields(wire.EXIT, code, error.reason, error.text, "", 0.0))
            return order.gather_failed
        watched = self._start(order, env)
        began = time.monotonic()
        stopped = self._wait(watched, order.deadline)
        status, text = watched.finish()
        seconds = time.monotonic() - began
        code = _exit_code(text)
        if not stopped and text.startswith(TROUBLE):
            step, number = text[len(TROUBLE) :].split(b"\n", 1)[0].split(b" ")
            self._step = step.decode("ascii")
            raise OSError(int(number), os.strerror(int(number)))
        self._entry = root.last_entry()
        self._failed = code != 0 and stopped not in ("cancelled", "orphaned")
        reason = "" if stopped or code >= 0 else "backend"
        self._tell(wire.fields(wire.EXIT, code, reason, f"wait status {status}", stopped, f"{seconds:.6f}"))
        return not stopped and (code == 0 or (code > 0 and order.gather_failed))

    def _start(self, order: Order, env: dict[bytes, bytes]) -> Watched:
        seccomp_fd = _make_memfd("seccomp", order.seccomp)
        args_fd = os.memfd_create("arguments", os.MFD_CLOEXEC)

        def arguments(status_fd: int) -> list[bytes]:
            wire.write_all(
                args_fd, b"".join(a + b"\0" for a in make_bwrap_arguments(order, env, seccomp_fd, status_fd))
            )
            os.lseek(args_fd, 0, os.SEEK_SET)
            return [order.bwrap, b"--args", b"%d" % args_fd, b"--", *order.argv]

        watched = start(order, arguments, [seccomp_fd, args_fd], (self._in, self._out, self._err))
        for fd in (seccomp_fd, args_fd):
            os.close(fd)
        self._close_output()
        return watched

    def _close_output(self) -> None:
        """Before the end is told: the engine then reads what was said to its end."""
        for fd in (self._in, self._out, self._err):
            os.close(fd)

    def _wait(self, watched: Watched, deadline: float) -> str:
        """Wait for the watcher's end, or bring it about; returns why: "", "time", "cancelled" or "orphaned"."""
        stopped = ""
        if self._frames.pending:  # KILL, come together with the order
            stopped = "cancelled"
            watched.kill()
        until = time.monotonic() + deadline if deadline else None
        poll = select.poll()
        lifelines = (self._channel, *self._guards)
        for fd in (watched.pidfd, *lifelines):
            poll.register(fd, select.POLLIN)
        while True:
            left = None if until is None or stopped else max(0.0, until - time.monotonic()) * 1000
            ready = {fd for fd, _ in poll.poll(left)}
            if watched.pidfd in ready:
                return stopped
            if not stopped:
                stopped = "time" if not ready else "cancelled" if self._channel in ready else "orphaned"
                watched.kill()
                for fd in lifelines:
                    poll.unregister(fd)

    def _gather(self, order: Order, root: Root) -> None:
        """Step 9. The root itself comes last, for its mounts have to go first."""
        allowance = [order.gather_limit] if order.gather_limit else []
        for index in sorted(range(len(order.gathers)), key=lambda index: order.gathers[index] == b"/"):
            path = order.gathers[index]
            if path == b"/":
                root.strip()
            try:
                parent_fd, name = find_output(root.fd, path)
            except NotGathered as error:
                self._failed = True
                self._tell(wire.fields(wire.GATHER, index, error.why, error.text))
                continue
            wire.write_all(self._channel, wire.fields(wire.GATHER, index, "ok", ""))
            try:
                send(self._trees, self._read(index, parent_fd, name, allowance))
            except OSError:
                return  # the engine has been told why, or is gone
            finally:
                os.close(parent_fd)
            answer = wire.read_frame(self._channel, self._frames)
            if answer is None or answer[0] != wire.NEXT:
                return

    def _read(
        self, index: int, parent_fd: int, name: bytes, allowance: list[int]
    ) -> Iterator[tuple[Entry, Content | None]]:
        """The entries of one output; what is wrong with it is told before the stream can break."""
        try:
            for entry, content in read_output(parent_fd, name, allowance):
                yield entry, content and Told(content, lambda error: self._tell_spoilt(index, error))
        except OSError as error:
            self._tell_spoilt(index, error)
            raise

    def _tell_spoilt(self, index: int, error: OSError) -> None:
        self._failed = True
        why, text = (error.why, error.text) if isinstance(error, NotGathered) else ("io", error.strerror or "error")
        self._tell(wire.fields(wire.SPOILT, index, why, text, _name(error)))

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


class Told:
    """A content whose reading errors are told first."""

    def __init__(self, content: Content, tell: Callable[[OSError], None]) -> None:
        self._content = content
        self._tell = tell

    def read(self, size: int, /) -> bytes:
        try:
            return self._content.read(size)
        except OSError as error:
            self._tell(error)
            raise


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    prctl(PR_SET_DUMPABLE, 1)  # else /proc/self/uid_map belongs to root


def _make_namespaces() -> None:
    """A user namespace in which our uid is 0, and a mount namespace of its own."""
    uid, gid = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS)
    write_file("/proc/self/setgroups", b"deny")
    write_file("/proc/self/uid_map", b"0 %d 1" % uid)
    write_file("/proc/self/gid_map", b"0 %d 1" % gid)
    mount(None, b"/", None, MS_REC | MS_PRIVATE)


def _make_memfd(name: str, data: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    wire.write_all(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _exit_code(text: bytes) -> int:
    """The action's exit code out of bwrap's status lines; -1 when it never ran or bwrap was killed."""
    _, found, rest = text.partition(b'"exit-code":')
    digits = rest.split(b"}", 1)[0].split(b",", 1)[0].strip()
    return int(digits) if found and digits.isdigit() else -1


def _name(error: OSError) -> bytes:
    name = error.filename
    if isinstance(name, (str, bytes)) and name:
        return os.fsencode(name)
    return (error.strerror or "").encode()
