"""Writing pages: one that says the same already is left alone, and no directory is entered by a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from warpforge.errors import Unable, store_error
from warpforge.fsx.atomic import make_dirs, random_name, write_new
from warpforge.fsx.remove import remove_tree

from .site import RELEASES

STAGING: Final = ".tmp"


class Pages:
    """The directory of a site. ``count``: pages that were asked for; ``written``: those that had to be written."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._real: dict[str, bool] = {}  # directories that are known to be such, and whether they were made here
        self.count = 0
        self.written = 0
        with _as_store(top):
            make_dirs(top, sync=False)

    def has(self, page: str) -> bool:
        return os.path.isfile(self._top / page)

    def write(self, page: str, text: str) -> None:
        """Write a page, if it would say something else. Errors: ``store``; ``io`` where a link is in the way."""
        self.count += 1
        path = os.path.join(self._top, page)
        data = text.encode("utf-8", "replace")
        with _as_store(path):
            is_new = self._enter(os.path.dirname(page))
            if not is_new and _read(path) == data:  # else nothing is there yet
                return
            self._enter(STAGING)
            staged = f"{self._top}/{STAGING}/{random_name()}"
            write_new(staged, data, sync=False)
            os.rename(staged, path)
        self.written += 1

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

    def _enter(self, directory: str) -> bool:
        """Make a directory below the top, every part of it a real one; whether it was made, now or before."""
        if not directory:
            return False
        if (known := self._real.get(directory)) is not None:
            return known
        self._enter(os.path.dirname(directory))
        path = os.path.join(self._top, directory)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise Unable("io", f"{path} is in the way: it is no directory of its own", path=path) from None
            made = False
        else:
            made = True
        self._real[directory] = made
        return made


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
