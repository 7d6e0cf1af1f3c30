"""Partial downloads: what had come of a ware when its download ended too early, kept for the next try.

``partial/<ware>-<origin>`` holds the bytes, and the same name with ``.tag`` the strong ETag and the size that the
other end gave them. Whoever writes one holds it locked. Nothing of it is believed: the hash decides once all is there.
At most MANY are kept, for at most LONG; garbage collection takes all that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import PREFIX, WarpforgeError
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.fsx.locks import is_current, locked_open
from warpforge.model.atoms import WareId

from .facts import WareFacts
from .finding import storing
from .layout import file_name
from .staging import StagedFile
from .warehouse import Staged, Warehouse

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

WORTH: Final = 1 << 20  # bytes; a smaller ware is fetched again from its start
MANY: Final = 16
LONG: Final = 7 * 86400.0  # seconds
_TAG: Final = ".tag"


class Mark(NamedTuple):
    """How far a download was: bytes that are here, and the strong ETag and size of all of it."""

    at: int
    tag: str
    size: int


class Partial(Staged):
    """A ware on its way in whose bytes stay when the way breaks off; otherwise as Staged."""

    mark: Mark

    def __init__(self, warehouse: Warehouse, path: str, file: StagedFile, mark: Mark) -> None:
        super().__init__(warehouse, path, file)
        self.mark = mark

    def go_on(self, begin: int, tag: str, size: int | None) -> bool:
        """What comes begins there, of this version: the bytes before it stay. Whether a next try can go on from it."""
        with storing(f"cannot write {self.path}"):
            os.ftruncate(self.file.fileno(), begin)
            self.file.seek(begin)
            if not tag or size is None:
                self._untag()
                return False
            if (tag, size) != self.mark[1:]:
                write_atomic(self.path + _TAG, f"{size} {tag}\n".encode(), 0o600, sync=False)
        self.mark = Mark(begin, tag, size)
        return True

    def commit(self, ware: WareId, facts: WareFacts | None = None) -> Path:
        with storing(f"cannot store ware {ware}"):
            self._untag()
        return super().commit(ware, facts)

    def drop(self) -> None:
        # once it has its final name the next one may have begun under this one
        if not self.file.closed and is_current(self.file.fileno(), self.path):
            self._untag()
            super().drop()
        self.file.close()

    def _untag(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path + _TAG)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file.closed:
            return
        if error is not None and _broke_off(error) and self.file.tell() >= WORTH and os.path.lexists(self.path + _TAG):
            self.file.close()
        else:
            self.drop()


class Partials:
    """The partial downloads of a store."""

    def __init__(self, directory: str, warehouse: Warehouse) -> None:
        self._directory = directory
        self._warehouse = warehouse

    def find(self, ware: WareId, origin: str) -> Partial | None:
        """What is here of a ware from this origin; nobody else gets it meanwhile."""
        path = self._path(ware, origin)
        if not os.path.lexists(path) or self._warehouse.writable() != self._warehouse.own:
            return None
        partial = self._hold(path)
        if partial is not None and partial.mark.at < WORTH:
            partial.drop()
            return None
        return partial

    def begin(self, ware: WareId, origin: str, tag: str, size: int | None) -> Partial | None:
        """Room for a ware; None when a next try could not go on from it, or it is not worth it. Errors: ``store``."""
        if not tag or size is None or size < WORTH or self._warehouse.writable() != self._warehouse.own:
            return None
        with storing(f"cannot stage in {self._directory}"):
            make_dirs(self._directory, 0o700, sync=False)
        self._make_room()
        partial = self._hold(self._path(ware, origin))
        if partial is not None:
            partial.go_on(0, tag, size)
        return partial

    def unheld(self) -> Iterator[tuple[str, int, float]]:
        """As ``all``, of those that nobody is at."""
        for row in self.all():
            with suppress(OSError), locked_open(row[0], os.O_RDONLY) as fd:
                if fd is not None:
                    yield row

    def all(self) -> Iterator[tuple[str, int, float]]:
        """The path, size and last change of each."""
        for name in _names(self._directory):
            if not name.endswith(_TAG):
                path = os.path.join(self._directory, name)
                with suppress(OSError):
                    status = os.lstat(path)
                    yield path, status.st_size, status.st_mtime

    def remove(self, path: str) -> bool:
        """Delete one that nobody holds; whether it is gone."""
        with suppress(OSError), locked_open(path, os.O_RDONLY) as fd:
            if fd is not None:
                os.unlink(path)
                with suppress(OSError):
                    os.unlink(path + _TAG)
                return True
        return False

    def _make_room(self) -> None:
        latest = sorted(self.all(), key=lambda row: -row[2])
        for number, (path, _, changed) in enumerate(latest):
            if number >= MANY - 1 or abs(time.time() - changed) > LONG:
                self.remove(path)

    def _hold(self, path: str) -> Partial | None:
        """Open and lock it, making it if need be; None when somebody else holds it."""
        with storing(f"cannot write {path}"):
            file = StagedFile(path, fresh=False)
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_current(file.fileno(), path):
                    return Partial(self._warehouse, path, file, _read_mark(path, file))
            except BlockingIOError:
                pass
            except BaseException:
                file.close()
                raise
        file.close()
        return None

    def _path(self, ware: WareId, origin: str) -> str:
        from hashlib import sha256

        where = sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return os.path.join(self._directory, f"{file_name(f'{ware.packtype}-{ware.hash}')}-{where}")


def _read_mark(path: str, file: StagedFile) -> Mark:
    """What is known of it; a mark at 0 when that is nothing of use."""
    try:
        with open(path + _TAG, encoding="utf-8") as tag_file:
            size, _, tag = tag_file.read(4096).removesuffix("\n").partition(" ")
    except (OSError, ValueError):
        return Mark(0, "", 0)
    if not size.isdecimal() or not tag.startswith('"') or not tag.isprintable():
        return Mark(0, "", 0)
    # of one that is there whole a byte is asked for again: whether it is still the same version
    return Mark(max(0, min(os.fstat(file.fileno()).st_size, int(size) - 1)), tag, int(size))


def _broke_off(error: BaseException) -> bool:
    """Whether what had come may be right all the same."""
    if not isinstance(error, WarpforgeError):
        return True
    return error.code == PREFIX + "fetch" and error.reason in ("net", "short") and "changed" not in error.details


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
