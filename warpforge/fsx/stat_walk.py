"""A tree told by its stats alone: a signature that differs whenever the tree may differ, without reading a file.

Every entry counts with its path, mode, size, inode, device, mtime and ctime. Whatever changes a file changes its ctime,
to the clock's grain; so what changed shortly before it was looked at may change again unseen: such a tree is not
**quiet**. Written through a mapping, a file changes its times only when the kernel writes the page back: not seen here.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import stat
import time
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from .descent import DIRECTORY, Descent

if TYPE_CHECKING:
    from collections.abc import Callable

    from .tree import Skip

GRAIN: Final = 2_000_000_000  # nanoseconds: the coarsest clock that file systems keep
_numbers: Final = attrgetter("st_mode", "st_size", "st_ino", "st_dev", "st_mtime_ns", "st_ctime_ns")
_MTIME: Final = itemgetter(4)
_CTIME: Final = itemgetter(5)


class Signature(NamedTuple):
    """``digest``: of all stats. ``quiet``: nothing changed within the clock's grain before the walk, nor in future."""

    digest: bytes
    quiet: bool


def stat_walk(
    dir_fd: int,
    *,
    skip: Skip | None = None,
    never: frozenset[str] = frozenset(),
    now: Callable[[], int] = time.time_ns,
) -> Signature:
    """The signature of the tree below a directory.

    ``never``: names left out at any depth; ``skip(path, is_directory)`` leaves out as it does when the tree is read.
    Raises OSError for what cannot be listed.
    """
    latest = now() - GRAIN
    walking = _Walk(never, skip)
    descent = Descent(os.open(".", DIRECTORY, dir_fd=dir_fd))
    try:
        walking.run(descent)
    finally:
        descent.close()
    return Signature(walking.hash.digest(), walking.newest < latest)


class _Walk:
    """One walk, directory by directory: the stats of a directory are hashed together."""

    def __init__(self, never: frozenset[str], skip: Skip | None) -> None:
        self.hash = hashlib.sha256()
        self.newest = 0
        self._never = never
        self._skip = skip

    def run(self, descent: Descent) -> None:
        root = _numbers(os.fstat(descent.fd))
        self.newest = max(_MTIME(root), _CTIME(root))
        self.hash.update(marshal.dumps(root, 2))
        waiting = [(b"", self._list(descent.fd, b""))]
        while waiting:
            prefix, names = waiting[-1]
            if not names:
                waiting.pop()
                if waiting:
                    os.close(descent.leave())
                continue
            name = names.pop()
            path = prefix + name + b"/"
            fd = descent.enter(name)
            waiting.append((path, self._list(fd, path)))

    def _list(self, fd: int, prefix: bytes) -> list[bytes]:
        """Hash the stats of one directory's entries; gives the directories among them, last first."""
        never, skip = self._never, self._skip
        with os.scandir(fd) as entries:
            found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries if entry.name not in never}
        if skip is not None:
            for name in [n for n, s in found.items() if skip(prefix + os.fsencode(n), stat.S_ISDIR(s.st_mode))]:
                del found[name]
        names = sorted(found)
        stats = [_numbers(found[name]) for name in names]
        if stats:
            self.newest = max(self.newest, max(map(_MTIME, stats)), max(map(_CTIME, stats)))
        text = os.fsencode("\0".join(names))
        self.hash.update(b"%d %d %d\n%b%b" % (len(prefix), len(names), len(text), prefix, text))
        self.hash.update(marshal.dumps(stats, 2))  # version 2 knows no references: equal lists, equal bytes
        return [os.fsencode(n) for n, s in zip(reversed(names), reversed(stats), strict=True) if stat.S_ISDIR(s[0])]
