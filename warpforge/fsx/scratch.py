"""Directories for a moment, in the system's place for them, of which killed processes leave none for long.

Each is flocked for as long as its process lives; whoever makes the next one removes those that can be locked and
are of its user.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .locks import is_current, locked_open

PREFIX: Final = "warpforge-git-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A fresh directory, 0700, removed at the end with all that is in it. Errors: OSError."""
    from .remove import remove_tree

    _sweep(tempfile.gettempdir())
    path, fd = _make()
    try:
        yield Path(path)
    finally:
        with suppress(OSError):
            remove_tree(-100, path)
        os.close(fd)


def _make() -> tuple[str, int]:
    while True:
        path = tempfile.mkdtemp(prefix=PREFIX)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another process swept it, since nobody held it yet
        fcntl.flock(fd, fcntl.LOCK_EX)
        if is_current(fd, path):  # and so it may have done until now
            return path, fd
        os.close(fd)


def _sweep(directory: str) -> None:
    from .remove import remove_tree

    with suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith(PREFIX):
                path = os.path.join(directory, name)
                with suppress(OSError):
                    if os.lstat(path).st_uid != os.geteuid():
                        continue
                    with locked_open(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
                        if fd is not None:
                            remove_tree(-100, path)
