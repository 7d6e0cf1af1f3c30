"""Debris: what dead processes left. Whoever can lock it knows that its owner is gone."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from typing import Final

from warpforge.fsx.locks import locked_open

_TRIES: Final = 100
_PAUSE: Final = 0.01  # seconds between two


def sweep(directory: str) -> int:
    """Remove everything below ``directory`` whose owner is dead; returns how many. A read-only store is left as it is.

    Directories and files are flocked by their owners while these live; nothing else belongs here.
    """
    try:
        names = os.listdir(directory)
    except OSError:
        return 0
    removed = 0
    for name in names:
        path = os.path.join(directory, name)
        with suppress(OSError):
            if not stat.S_ISREG(mode := os.lstat(path).st_mode) and not stat.S_ISDIR(mode):
                os.unlink(path)
                continue
            with locked_open(path, os.O_RDONLY) as fd:
                if fd is not None:
                    _remove(path)
                    removed += 1
    return removed


def _remove(path: str) -> None:
    """A box outlives its engine for a moment, and may still write there. Raises OSError."""
    from warpforge.fsx.remove import remove_tree

    for left in reversed(range(_TRIES)):
        try:
            remove_tree(-100, path, missing_ok=True)
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or not left:
                raise
        time.sleep(_PAUSE)
