"""Debris: what dead processes left. Whoever can lock it knows that its owner is gone."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from warpforge.fsx.locks import locked_open


def sweep(directory: str) -> int:
    """Remove everything below ``directory`` whose owner is dead; returns how many. A read-only store is left as it is.

    Directories and files are flocked by their owners while these live; nothing else belongs here.
    """
    try:
        names = os.listdir(directory)
    except OSError:
        return 0
    if not names:
        return 0
    from warpforge.fsx.remove import remove_tree

    removed = 0
    for name in names:
        path = os.path.join(directory, name)
        with suppress(OSError):
            if not stat.S_ISREG(mode := os.lstat(path).st_mode) and not stat.S_ISDIR(mode):
                os.unlink(path)
                continue
            with locked_open(path, os.O_RDONLY) as fd:
                if fd is not None:
                    remove_tree(-100, path)
                    removed += 1
    return removed
