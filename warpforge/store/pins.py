"""Pins: what a running process needs kept. A locked pin is live, an unlocked one is its dead owner's."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType

from warpforge.fsx.atomic import make_dirs, random_name, write_all
from warpforge.fsx.locks import is_current
from warpforge.model.atoms import WareId

from .finding import storing


class Pin:
    """A file ``roots/<pid>-<starttime>-<random>`` that its owner holds locked; one WareId a line."""

    def __init__(self, directory: str) -> None:
        with storing(f"cannot pin in {directory}"):
            make_dirs(directory, 0o755, sync=False)
            self.path, self._fd = _make(directory)

    def add(self, wares: Iterable[WareId]) -> None:
        """Keep these wares for as long as we live."""
        text = "".join(f"{ware}\n" for ware in wares)
        with storing(f"cannot write {self.path}"):
            write_all(self._fd, text.encode())

    def release(self) -> None:
        """Need nothing any more; may be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                os.unlink(self.path)
            os.close(fd)

    def __enter__(self) -> Pin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def pinned(directory: str) -> Iterator[WareId]:
    """Every ware that a live process has pinned; dead pins are left for the sweep."""
    with suppress(FileNotFoundError):
        for name in os.listdir(directory):
            with suppress(FileNotFoundError):
                yield from _read_live(os.path.join(directory, name))


def live(directory: str) -> list[int]:
    """The pids of the processes that have pinned something and live."""
    pids = []
    with suppress(FileNotFoundError):
        for name in os.listdir(directory):
            with suppress(FileNotFoundError):
                if next(_read_live(os.path.join(directory, name)), None) is not None:
                    pids.append(int(name.partition("-")[0]))
    return sorted(pids)


def _read_live(path: str) -> Iterator[WareId]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, encoding="ascii", errors="replace") as lines:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            for line in lines:
                if line.endswith("\n"):
                    yield WareId.parse(line[:-1])


def _make(directory: str) -> tuple[str, int]:
    while True:
        path = os.path.join(directory, random_name(f"{os.getpid()}-{_start_time()}-"))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if is_current(fd, path):
            return path, fd
        os.close(fd)


def _start_time() -> str:
    """When this process began, in the kernel's ticks since boot: tells two processes of one pid apart."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return "0"
