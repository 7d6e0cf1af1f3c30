"""Copies for the run: of a file always, of a tree where overlays do not work. By descriptors, owner left to us."""

from __future__ import annotations

import errno
import os

from warpforge.fsx.descent import Descent
from warpforge.fsx.tree import Entry, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.fsx.tree import Content

_CHUNK = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_file(source_fd: int, name: bytes) -> None:
    """A new file with the content, mode and times of an open one; closes that one."""
    target = os.open(name, _NEW, 0o600)
    try:
        status = os.fstat(source_fd)
        while os.sendfile(target, source_fd, None, _CHUNK):
            pass
        os.fchmod(target, status.st_mode & 0o1777)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(target)
        os.close(source_fd)


def copy_tree(source: bytes, name: bytes) -> None:
    """A new directory ``name`` with everything below ``source``: modes, times and symlinks, no special files."""
    source_fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.mkdir(name, 0o700)
    descent = Descent(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    open_entries: list[Entry] = []
    try:
        for entry, content in walk(source_fd):
            while open_entries and not _is_below(entry.path, open_entries[-1].path):
                _leave(descent, open_entries)
            if entry.kind == "d":
                if entry.path:
                    os.mkdir(entry.name, 0o700, dir_fd=descent.fd)
                    descent.enter(entry.name)
                open_entries.append(entry)
            else:
                _copy_leaf(descent.fd, entry, content)
        while open_entries:
            _leave(descent, open_entries)
    finally:
        descent.close()
        os.close(source_fd)


def _is_below(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")


def _leave(descent: Descent, open_entries: list[Entry]) -> None:
    entry = open_entries.pop()
    # through the descriptor, before its mode may close it to us
    os.utime(descent.fd, ns=(_nanoseconds(entry), _nanoseconds(entry)))
    done = descent.leave() if open_entries else os.dup(descent.fd)
    os.fchmod(done, entry.mode & 0o1777)
    os.close(done)


def _copy_leaf(dir_fd: int, entry: Entry, content: Content | None) -> None:
    times = (_nanoseconds(entry), _nanoseconds(entry))
    if entry.kind == "L":
        os.symlink(entry.link, entry.name, dir_fd=dir_fd)
        os.utime(entry.name, ns=times, dir_fd=dir_fd, follow_symlinks=False)
    elif entry.kind == "f" and content is not None:
        fd = os.open(entry.name, _NEW, 0o600, dir_fd=dir_fd)
        try:
            while data := content.read(_CHUNK):
                os.write(fd, data)
            os.utime(fd, ns=times)
            os.fchmod(fd, entry.mode & 0o1777)
        finally:
            os.close(fd)
    elif entry.kind == "p":
        os.mkfifo(entry.name, entry.mode & 0o777, dir_fd=dir_fd)
    else:
        raise OSError(errno.EINVAL, "a special file cannot be copied", entry.path)


def _nanoseconds(entry: Entry) -> int:
    return entry.mtime * 1_000_000_000 + entry.mtime_ns
