"""Ours: what of a clone is not as its repository had it, beside a directory that is to take the clone's place.

Files that somebody changed here, where the repository has something else now, are told of. What only we have is carried
along: pages, mirrors, verdicts, modules of our own.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import WarpforgeError
from warpforge.fsx.links import link_file

from .clone import GIT
from .edit import STAGING
from .tree import MODULE_FILE, RELEASES_DIR, REPLAYS_DIR

if TYPE_CHECKING:
    from warpforge.fsx.git import Bare

_DOCUMENTS: Final = (f"{RELEASES_DIR[1:]}/", f"{REPLAYS_DIR[1:]}/")


class Ours:
    """``old``: the clone. ``new``: what takes its place, with these ``files`` in it, hard links where nothing changed.

    ``had``: git's ids of the files that the repository had before; None when nobody knows any more.
    """

    def __init__(self, old: Path, new: Path, files: Container[str], had: Mapping[str, str] | None) -> None:
        self._old = old
        self._new = new
        self._files = files
        self._had = had
        self.differing: Final = [path for path in walk(old) if not _is_same(old / path, new / path)]

    def changed(self) -> Iterator[str]:
        """Files that somebody changed here and that the repository has otherwise."""
        if self._had is None:
            return
        for path in self.differing:
            if path in self._had:
                is_ours = _oid(self._old / path, len(self._had[path])) != self._had[path]
            else:
                is_ours = path in self._files or any(parent in self._files for parent in _parents(path))
            if is_ours and not _is_alike(self._old / path, self._new / path):
                yield path

    def carry(self) -> None:
        """Give the new directory what only we have. Raises OSError."""
        if self._had is None:
            return
        for path in self.differing:
            module, _, rest = path.partition("/_")
            is_stale = rest.startswith(_DOCUMENTS) and f"{module}/{MODULE_FILE}" in self._files
            if path not in self._had and path not in self._files and not is_stale:
                with suppress(FileExistsError, NotADirectoryError):
                    (self._new / path).parent.mkdir(parents=True, exist_ok=True)
                    link_file(self._old / path, self._new / path)


def is_as_published(catalog: Path, had: Mapping[str, str] | None) -> bool:
    """Whether every file that the repository had stands in a clone as it was there; all are read."""
    return had is not None and all(_oid(catalog / path, len(oid)) == oid for path, oid in had.items())


def tree_of(bare: Bare, commit: str) -> dict[str, str] | None:
    """The id of every file in a commit; None when the commit cannot be read any more."""
    if not commit:
        return None
    try:
        said = bare.run("ls-tree", "-r", "-z", "--full-tree", commit)
    except WarpforgeError:
        return None
    rows = (row.partition(b"\t") for row in said.split(b"\0") if row)
    return {os.fsdecode(path): head.split()[2].decode() for head, _, path in rows}


def walk(top: Path) -> Iterator[str]:
    """Every file and symlink of a catalog, but for what is git's and what a writer stages."""
    for directory, names, files in os.walk(top):
        below = os.path.relpath(directory, top)
        if below == ".":
            names[:] = [name for name in names if name not in (GIT, STAGING)]
            files = [name for name in files if name != GIT]
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        yield from (name if below == "." else f"{below}/{name}" for name in (*files, *links))


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _oid(path: Path, width: int) -> str:
    """The id that git gives a file's content."""
    data = _content(path)
    if data is None:
        return ""
    made = hashlib.sha256() if width == 64 else hashlib.sha1(usedforsecurity=False)
    made.update(b"blob %d\0" % len(data))
    made.update(data)
    return made.hexdigest()


def _is_same(one: Path, other: Path) -> bool:
    """Whether they are two names of one file."""
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def _is_alike(one: Path, other: Path) -> bool:
    return (data := _content(one)) is not None and data == _content(other)


def _content(path: Path) -> bytes | None:
    """What a file holds, or where a symlink leads; None for what is neither."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return os.fsencode(os.readlink(path))
        return path.read_bytes() if stat.S_ISREG(mode) else None
    except OSError:
        return None
