"""The disk: what a run writes into its own layers, and what it leaves free for everybody else."""

from __future__ import annotations

import os
import stat
import time

from warpforge.fsx.descent import Descent

RESERVE = 64 << 20  # bytes that no run may take from a disk: what is left lets the store clean up and say so
_RESERVED_INODES = 1024
_INODE = 1024  # bytes that a file costs beside its content, about as much as file systems need
_SHORTEST = 0.05  # seconds between two looks
_LONGEST = 1.0
_FAST = 2 << 30  # bytes that a second may fill: the closer the end, the more often we look
_SHARE = 20  # measuring may cost a twentieth of the time


class DiskWatch:
    """Stands in the work directory. ``limit``: bytes that the run may write, 0 for none.

    ``often``: others look whenever we do.
    """

    def __init__(self, limit: int, *, often: bool = False) -> None:
        self._limit = limit
        self._often = often
        free, inodes = _free()
        # where there was hardly any room to begin with, it is not the action that takes it
        self._reserve = RESERVE if free > 2 * RESERVE else 0
        self._inodes = _RESERVED_INODES if inodes > 2 * _RESERVED_INODES else 0
        self._measured = time.monotonic()
        self._rest = _SHORTEST
        self.pause = self._pause(free)  # seconds until the next look

    def has_passed(self) -> bool:
        """At the end: whether the run should have been ended, had it lasted."""
        return self._is_full(*_free()) or (bool(self._limit) and measure(self._limit) > self._limit)

    def is_over(self) -> bool:
        """Whether the run has to end."""
        free, inodes = _free()
        self.pause = self._pause(free)
        if self._is_full(free, inodes):
            return True
        if not self._limit or time.monotonic() < self._measured + self._rest:
            return False
        began = time.monotonic()
        over = measure(self._limit) > self._limit
        self._measured = time.monotonic()
        self._rest = (self._measured - began) * _SHARE
        return over

    def _is_full(self, free: int, inodes: int) -> bool:
        return free < self._reserve or inodes < self._inodes

    def _pause(self, free: int) -> float:
        if self._limit or self._often:
            return _SHORTEST
        return min(_LONGEST, max(_SHORTEST, (free - self._reserve) / _FAST))


def _free() -> tuple[int, int]:
    """Bytes and inodes; a file system that does not count inodes has many."""
    status = os.statvfs(".")
    return status.f_bavail * status.f_frsize, status.f_favail if status.f_files else 1 << 40


def measure(enough: int) -> int:
    """Bytes below the work directory without its tmpfs; counting ends when it is ``enough``.

    What is changed meanwhile may be missed: the next look finds it.
    """
    here = os.stat(".").st_dev
    total = 0
    descent = Descent(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    waiting: list[list[bytes]] = []
    try:
        names, size = _list(descent.fd, here)
        total += size
        waiting.append(names)
        while waiting and total <= enough:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    os.close(descent.leave())
                continue
            try:
                fd = descent.enter(waiting[-1].pop())
            except OSError:
                continue
            names, size = _list(fd, here)
            waiting.append(names)
            total += size
    except OSError:
        pass  # moved away under us
    finally:
        descent.close()
    return total


def _list(fd: int, device: int) -> tuple[list[bytes], int]:
    """The directories in one, and the bytes of all that is in it."""
    names, size = [], 0
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if status.st_dev != device:
                    continue
                is_directory = stat.S_ISDIR(status.st_mode)
                size += status.st_blocks * 512 // (1 if is_directory else status.st_nlink) + _INODE
                if is_directory:
                    names.append(os.fsencode(entry.name))
    except OSError:
        pass
    return names, size
