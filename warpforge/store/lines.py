"""Files of lines: many processes append to one, each line with one write, and none waits for another.

The worst that a crash can do is a torn last line; who reads them passes over what is no line of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from warpforge.fsx.atomic import write_all

_READ: Final = 1 << 20


class Growing:
    """One file while others append to it; ``from_end``: what is there already is not read."""

    def __init__(self, path: str, *, from_end: bool = False) -> None:
        self.path: Final = path
        self._rest = b""
        self._at = 0
        if from_end:
            with suppress(OSError):
                self._at = os.path.getsize(path)

    def read(self) -> list[bytes]:
        """The whole lines that came since the last time."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return []
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


def append_line(path: str, line: bytes) -> None:
    """Append one line in one write; when the last one was torn, begin on a new line. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        write_all(fd, (b"\n" if torn else b"") + line + b"\n")
    finally:
        os.close(fd)


def lines_backwards(path: str) -> Iterator[bytes]:
    """The lines of a file, the last one first; none when it is not there."""
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return
    with file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position:
            step = min(_READ, position)
            position = file.seek(position - step)
            lines = (file.read(step) + rest).split(b"\n")
            rest = lines[0]
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest


def delete_oldest(paths: list[str], limit: int, *, at_least: int = 0) -> int:
    """Delete files, given oldest first, until the others fit; ``at_least`` so many stay. Raises OSError."""
    sizes = {path: os.lstat(path).st_size for path in paths}
    left, freed = sum(sizes.values()), 0
    for path in paths[: len(paths) - at_least]:
        if left - freed <= limit:
            break
        with suppress(FileNotFoundError):
            os.unlink(path)
        freed += sizes[path]
    return freed
