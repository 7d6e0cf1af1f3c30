"""Staging: where one process writes before anything has its final name.

``tmp/<pid>-<random>/`` is made at the first use and flocked for as long as its process lives, so whoever finds
one that can be locked knows that its owner is dead: no pids to compare, no clocks, also across containers.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable
from contextlib import suppress
from threading import RLock

from warpforge.errors import store_error
from warpforge.fsx.atomic import make_dirs, random_name
from warpforge.fsx.locks import is_current

from .debris import sweep
from .finding import storing


class Staging:
    """A private directory below ``tmp``, 0700, made when first asked for and removed by close()."""

    def __init__(self, tmp: str, begun: Callable[[], None] = lambda: None) -> None:
        self.tmp = tmp
        self._begun = begun  # called before the first write of this process
        self._path = ""
        self._fd = -1
        self._lock = RLock()

    def new(self, hint: str) -> str:
        """A fresh name in the staging directory. Errors: ``store``."""
        return os.path.join(self.directory(), random_name(f"{hint}-"))

    def directory(self) -> str:
        """The staging directory, made and locked if need be; what dead processes left is swept first."""
        with self._lock:
            while self._fd < 0:
                with storing(f"cannot stage in {self.tmp}"):
                    make_dirs(self.tmp, 0o700, sync=False)
                    self._begun()
                    sweep(self.tmp)
                    self._make()
            return self._path

    def _make(self) -> None:
        path = os.path.join(self.tmp, random_name(f"{os.getpid()}-"))
        os.mkdir(path, 0o700)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # another process swept it, since nobody held it yet
        fcntl.flock(fd, fcntl.LOCK_EX)
        if is_current(fd, path):  # and so it may have done until now
            self._fd, self._path = fd, path
        else:
            os.close(fd)

    def close(self) -> None:
        """Remove the directory with whatever is still in it; may be called again."""
        with self._lock:
            if self._fd < 0:
                return
            from warpforge.fsx.remove import remove_tree

            with suppress(OSError):
                os.rmdir(self._path)  # the usual case: everything was renamed away
            if os.path.lexists(self._path):
                with suppress(OSError):
                    remove_tree(-100, self._path)
            os.close(self._fd)
            self._fd, self._path = -1, ""


class StagedFile(io.FileIO):
    """A file being staged: every write is whole or an error of the code ``store``."""

    def __init__(self, path: str, *, fresh: bool = True) -> None:
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if fresh else 0) | os.O_NOFOLLOW | os.O_CLOEXEC
        with storing(f"cannot write {path}"):
            fd = os.open(path, flags, 0o600)
        super().__init__(fd, "r+b")
        self.path = path

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Write all of ``data``."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            raise store_error(error, f"cannot write {self.path}") from error
        return size

    def settle(self, mode: int = 0o444) -> None:
        """Give the file its mode and make its bytes durable. An error condemns the file."""
        with storing(f"cannot write {self.path}"):
            os.fchmod(self.fileno(), mode)
            os.fsync(self.fileno())
