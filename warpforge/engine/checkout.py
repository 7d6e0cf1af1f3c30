"""Checkout: the tree of a commit becomes the directory of a catalog, as far as a catalog may hold it.

Files alone: no symlink, no submodule, no two names that some file systems take for one, nothing too large.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Invalid, Unable
from warpforge.fsx.atomic import write_new
from warpforge.fsx.links import link_file
from warpforge.model.plaintext import SIZE_LIMIT
from warpforge.pack.git import Submodule, commit_entries
from warpforge.pack.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from warpforge.fsx.git import Bare
    from warpforge.fsx.tree import Content

TOTAL: Final = 1 << 30  # bytes of all files
_SKIPPED: Final = ".tmp"  # where writers of a catalog stage, whatever a repository has there


class Checkout(NamedTuple):
    """``files``: all paths in the tree. ``touched``: those that the old directory does not have, word for word."""

    files: set[str]
    touched: set[str]


def check_out(bare: Bare, commit: str, goal: Path, old: Path | None, limits: Limits = DEFAULT) -> Checkout:
    """Write a commit's tree to ``goal``, which is made. What ``old`` has word for word is linked.

    Errors: ``git`` (unsafe, failed), ``ware-invalid``, ``ware-limit``. Raises OSError.
    """
    found = Checkout(set(), set())
    seen: set[str] = set()
    total = 0
    for entry, content in commit_entries(bare, commit, _refuse_submodule, limits):
        path = os.fsdecode(entry.path)
        if path.partition("/")[0] == _SKIPPED:
            continue
        folded = unicodedata.normalize("NFC", path).casefold()
        if folded in seen:
            raise _unsafe(path, "some file systems take its name for another's beside it")
        seen.add(folded)
        if entry.kind == "d":
            os.mkdir(goal / path)
        elif content is None:
            raise _unsafe(path, "a symbolic link, which a catalog does not hold")
        else:
            total += entry.size
            if entry.size > SIZE_LIMIT or total > TOTAL:
                raise Invalid("ware-limit", f"{path!r}: too large for a catalog", reason="bytes", path=path)
            _put(goal / path, _read(content, entry.size), entry.mode, old / path if old else None, path, found)
    return found


def _put(goal: Path, data: bytes, mode: int, old: Path | None, path: str, found: Checkout) -> None:
    found.files.add(path)
    if old is not None and _has(old, data, mode):
        link_file(old, goal)
        return
    found.touched.add(path)
    write_new(goal, data, mode=mode, sync=False)


def _has(path: Path, data: bytes, mode: int) -> bool:
    """Whether a regular file has this content, and may be run or not alike."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        return status.st_size == len(data) and (status.st_mode ^ mode) & 0o100 == 0 and file.read() == data


def _read(content: Content, size: int) -> bytes:
    pieces = []
    while size:
        pieces.append(piece := content.read(size))
        size -= len(piece)
    return b"".join(pieces)


def _refuse_submodule(found: Submodule, around: list[Submodule]) -> None:
    raise _unsafe(os.fsdecode(found.path), "a submodule, which a catalog does not hold")


def _unsafe(path: str, why: str) -> Unable:
    return Unable("git", f"{path!r}: {why}", reason="unsafe", path=path)
