"""A tree once more by hard links: for files that are replaced and never changed in place."""

from __future__ import annotations

import os
import stat
from collections.abc import Container
from pathlib import Path

from .atomic import write_new


def link_tree(old: Path, new: Path, without: Container[str] = ()) -> None:
    """The tree once more, its files as hard links (or copies where links cannot be made), but for some.

    ``without``: names of files, from the top. Raises OSError.
    """
    waiting = [""]
    while waiting:
        below = waiting.pop()
        os.mkdir(new / below)
        with os.scandir(old / below) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                elif name not in without:
                    link_file(old / name, new / name)
        os.chmod(new / below, stat.S_IMODE(os.stat(old / below).st_mode))


def link_file(old: Path, new: Path) -> None:
    """A second name for a file or a symlink, else a copy. Raises OSError."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        if old.is_symlink():
            os.symlink(os.readlink(old), new)
        else:
            write_new(new, old.read_bytes())
