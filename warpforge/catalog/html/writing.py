"""Writing pages: one that says the same already is left alone, and no directory is entered by a link.

All that changed are written beside the site first, and then take their places one right after the other: whoever reads
meanwhile, or kills the command, has the site of before until nothing is left to be said. The directory itself stays: it
may be mounted somewhere, or be where a server stands, and hold what is not ours.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from warpforge.errors import Unable, store_error
from warpforge.fsx.atomic import make_dirs, random_name, write_new
from warpforge.fsx.remove import remove_tree

from .site import RELEASES

STAGING: Final = ".tmp"


class Staged(NamedTuple):
    """A page that waits for its place. ``name``: what it is called until then."""

    name: str
    page: str


class Pages:
    """The directory of a site. ``count``: pages that were asked for; ``staged``: those that changed."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._real: dict[str, bool] = {}  # directories that are known to be such, or not to be there
        self.count = 0
        self.staged: list[Staged] = []
        with _as_store(top):
            make_dirs(top, sync=False)

    def has(self, page: str) -> bool:
        return os.path.isfile(self._top / page)

    def write(self, page: str, text: str) -> None:
        """Stage a page, if it would say something else. Errors: ``store``; ``io`` where a link is in the way."""
        self.count += 1
        path = os.path.join(self._top, page)
        data = text.encode("utf-8", "replace")
        with _as_store(path):
            if self._is_there(os.path.dirname(page)) and _read(path) == data:
                return
            self._make(STAGING)
            staged = Staged(random_name(), page)
            write_new(f"{self._top}/{STAGING}/{staged.name}", data, sync=False)
        self.staged.append(staged)

    def place(self, staged: Iterable[Staged]) -> None:
        """Give staged pages their places, of this object or of one in another process. Errors: as ``write``."""
        for one in staged:
            path = os.path.join(self._top, one.page)
            with _as_store(path):
                self._make(os.path.dirname(one.page))
                os.rename(f"{self._top}/{STAGING}/{one.name}", path)

    def clear_staging(self) -> None:
        """Remove what is left of pages that were being written, by a command that was killed too. Errors: ``store``."""
        with _as_store(self._top):
            remove_tree(-100, f"{self._top}/{STAGING}", missing_ok=True)

    def keep_only(self, directory: str, names: set[str], suffix: str = ".html") -> None:
        """Remove the other pages of a directory. Errors: ``store``."""
        path = self._top / directory
        with _as_store(path), suppress(FileNotFoundError):
            if not os.path.islink(path):
                for name in os.listdir(path):
                    if name not in names and name.endswith(suffix):
                        os.unlink(path / name)

    def remove_module(self, module: str) -> None:
        """Remove the pages of a module that is no more, and directories that are empty then. Errors: ``store``."""
        directory = self._top / module
        with _as_store(directory), suppress(FileNotFoundError):
            if os.path.realpath(directory) != os.path.join(os.path.realpath(self._top), module):
                return  # somebody made a link of it: that is not ours
            with suppress(FileNotFoundError):
                os.unlink(directory / "index.html")
            remove_tree(-100, os.fspath(directory / RELEASES), missing_ok=True)
            with suppress(OSError):  # up to one that other pages are in
                while directory != self._top:
                    os.rmdir(directory)
                    directory = directory.parent

    def _is_there(self, directory: str) -> bool:
        """Whether a directory below the top is there, every part of it a real one."""
        if not directory:
            return True
        if (known := self._real.get(directory)) is None:
            known = self._is_there(os.path.dirname(directory)) and self._is_real(directory)
            self._real[directory] = known
        return known

    def _is_real(self, directory: str) -> bool:
        path = os.path.join(self._top, directory)
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                return True
        except FileNotFoundError:
            return False
        raise Unable("io", f"{path} is in the way: it is no directory of its own", path=path)

    def _make(self, directory: str) -> None:
        """Make a directory below the top, every part of it a real one."""
        if not self._is_there(directory):
            self._make(os.path.dirname(directory))
            with suppress(FileExistsError):  # another process may have been first
                os.mkdir(os.path.join(self._top, directory))
            self._real[directory] = self._is_real(directory)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
            return file.readall()
    except OSError:
        return None


@contextmanager
def _as_store(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise store_error(error, f"cannot write {path}") from error
