"""Locks that die with their holder.

A lock is a flock on a file that is never unlinked; should somebody unlink it all the same, whoever locks
looks at inode and link count afterwards and starts over on the file that bears the name now.
The descriptor is close-on-exec, so no child process can keep the lock by accident.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

_FIRST_WAIT = 0.001
_LONGEST_WAIT = 0.025


class Busy(TimeoutError):
    """Somebody else holds the lock. ``pids``: who, as far as this machine can tell."""

    def __init__(self, path: str, pids: list[int]) -> None:
        super().__init__(errno.ETIMEDOUT, "the lock is held", path)
        self.path = path
        self.pids = pids


class Lock:
    """A lock by name; use as ``with Lock(path):`` or acquire() and release(). Not to be shared by threads.

    ``shared``: many may hold it together. ``timeout``: seconds, 0 to ask once, None to wait for ever.
    ``on_wait`` is told the holders' pids, once, when the lock cannot be had at once.
    ``optional``: where the file can neither be made nor opened (a read-only store) go on without.
    Acquiring raises Busy, or OSError.
    """

    __slots__ = ("_fd", "_on_wait", "_optional", "_shared", "_timeout", "path")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        shared: bool = False,
        timeout: float | None = None,
        on_wait: Callable[[list[int]], None] | None = None,
        optional: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self._shared = shared
        self._timeout = timeout
        self._on_wait = on_wait
        self._optional = optional
        self._fd = -1

    @property
    def held(self) -> bool:
        """Whether we hold it."""
        return self._fd >= 0

    def acquire(self) -> None:
        """Take the lock. Errors: Busy when the time is over, OSError."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        told = False
        while self._fd < 0:
            fd = self._open()
            if fd < 0:
                return
            try:
                if not _try_flock(fd, shared=self._shared):
                    if not told and self._on_wait is not None:
                        told = True
                        self._on_wait(holders(self.path))
                    self._wait(fd, deadline)
                if is_current(fd, self.path):
                    self._fd, fd = fd, -1
            finally:
                if fd >= 0:
                    os.close(fd)
        if not self._shared:
            _sign(self._fd)

    def release(self) -> None:
        """Let go; may be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self) -> int:
        flags = os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | flags, 0o644)
        except OSError as error:
            if not self._shared or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
                raise
            if error.errno == errno.ENOENT and not self._optional:
                raise
        with suppress(FileNotFoundError):
            return os.open(self.path, os.O_RDONLY | flags)
        if self._optional:
            return -1
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), self.path)

    def _wait(self, fd: int, deadline: float | None) -> None:
        if deadline is None:
            fcntl.flock(fd, fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX)
            return
        pause = _FIRST_WAIT
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Busy(self.path, holders(self.path))
            time.sleep(min(pause, left))
            if _try_flock(fd, shared=self._shared):
                return
            pause = min(2 * pause, _LONGEST_WAIT)

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _try_flock(fd: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_current(fd: int, path: str) -> bool:
    """Whether the open file still bears its name: a lock on an unlinked file guards nothing."""
    mine = os.fstat(fd)
    if not mine.st_nlink:
        return False
    try:
        named = os.lstat(path)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)


def _sign(fd: int) -> None:
    """Write our pid into the lock file: a hint for messages only, so a full disk does not matter."""
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)


def holders(path: str) -> list[int]:
    """The pids that hold a lock: as the kernel lists them, else as the last exclusive holder signed.

    The kernel lists who took it. When that one is dead the lock lives on in a child that inherited the descriptor; in
    a container the kernel does not list the dead one's lock at all.
    """
    try:
        status = os.stat(path)
        wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        # others come and go between two pages of a long list, and then one of them is passed over
        pids = _listed(wanted) or _listed(wanted)
        if not pids:
            with open(path, encoding="ascii") as signed:
                pids = {int(signed.read(32))}
        if any(not os.path.exists(f"/proc/{pid}") for pid in pids):
            pids = _having_open(status) or pids
        return sorted(pids)
    except (OSError, ValueError, IndexError):
        return []


def _listed(wanted: str) -> set[int]:
    """Who took a lock of the file, as the kernel lists it. Raises OSError, ValueError, IndexError."""
    with open("/proc/locks", encoding="ascii") as lines:
        # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF    ("->" marks one that waits)
        rows = [line.split() for line in lines if "->" not in line]
    return {int(row[4]) for row in rows if row[1] == "FLOCK" and row[5] == wanted}


def _having_open(file: os.stat_result) -> set[int]:
    """The processes that have a file open, as far as we may look."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), file):
                        found.add(int(pid))
    return found - {os.getpid()}


@contextmanager
def locked_open(path: str, flags: int, mode: int = 0o600) -> Iterator[int | None]:
    """Open something that exists and hold it alone, at once; None when somebody else does or it is gone."""
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd if _try_flock(fd, shared=False) and is_current(fd, path) else None
    finally:
        os.close(fd)
