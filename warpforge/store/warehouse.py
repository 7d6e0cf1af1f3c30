"""The warehouse: packed wares under their hashes. Truth: what lies here was verified before it got its name.

One or two directories: the workspace's own, and one that stands in for it. The stand-in is read first; it is
written too unless it is read-only, then our own takes what is made.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final

from warpforge.errors import Invalid, Missing
from warpforge.fsx.atomic import fsync_dir, make_dirs, rename_noreplace
from warpforge.model.atoms import WareId

from .finding import Finding, Findings, is_unwritable, quarantine, storing
from .layout import is_inside, is_storable, packed
from .staging import StagedFile, Staging

if TYPE_CHECKING:
    from .facts import WareFacts

_DAY: Final = 86400.0


class Staged:
    """A ware on its way in. Write to ``file``, verify, then commit(); left without commit() nothing remains."""

    def __init__(self, warehouse: Warehouse, path: str, file: StagedFile | None = None) -> None:
        self._warehouse = warehouse
        self.path = path
        self.file: BinaryIO = file or StagedFile(path)

    def commit(self, ware: WareId, facts: WareFacts | None = None) -> Path:
        """Give the bytes, verified by the caller, their final name. Errors: ``store``, ``wareid-invalid``.

        When somebody else was first, theirs stays and ours is dropped.
        """
        from .facts import WareFacts

        return self._warehouse._commit(self, ware, facts or WareFacts())

    def drop(self) -> None:
        """Forget the bytes; may be called again."""
        self.file.close()
        with suppress(OSError):
            os.unlink(self.path)

    def __enter__(self) -> Staged:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()


class Warehouse:
    """Packed wares on disk. ``recorded`` hears of every ware that was stored, after it was. ``look``: only look."""

    def __init__(
        self,
        own: str,
        stand_in: str | None,
        staging: Staging,
        findings: Findings,
        recorded: Callable[[WareId, WareFacts], None],
        quarantine_dir: str,
        *,
        look: bool = False,
    ) -> None:
        self.own = own
        self.directories: Final = (own,) if stand_in is None else (stand_in, own)
        self._stand_in = stand_in
        self._staging = staging
        self._stand_in_staging: Staging | None = None
        self._findings = findings
        self._recorded = recorded
        self._quarantine = quarantine_dir
        self._look = look
        self._refused: set[str] = set()  # bad wares that could not be moved away

    def has(self, ware: WareId) -> bool:
        """Whether a ware lies here."""
        return self._locate(ware) is not None

    def find(self, ware: WareId) -> Path | None:
        """Where a ware lies, if it does."""
        found = self._locate(ware)
        return None if found is None else Path(found)

    def open(self, ware: WareId) -> BinaryIO:
        """The packed bytes of a ware. Errors: ``missing``, ``store``."""
        path = self._locate(ware)
        with storing(f"cannot read ware {ware}"), suppress(FileNotFoundError):
            if path is not None:
                return open(path, "rb")
        raise Missing("missing", f"ware {ware} is not in the warehouse", wareId=ware)

    def stage(self) -> Staged:
        """Begin to store a ware. Errors: ``store``."""
        directory = self.writable()
        if directory == self.own:
            return Staged(self, self._staging.new("ware"))
        if self._stand_in_staging is None:
            self._stand_in_staging = Staging(os.path.join(directory, ".tmp"))
        return Staged(self, self._stand_in_staging.new("ware"))

    def writable(self) -> str:
        """The directory that takes new wares."""
        if self._stand_in is not None and _is_meant_writable(self._stand_in):
            return self._stand_in
        return self.own

    def quarantine(self, ware: WareId, why: str) -> None:
        """Take a ware that is not what its name says out of the way, so that it can be had anew. Nothing is deleted.

        Where the warehouse is read-only the ware stays, and is not looked at again by this process.
        """
        path = self._locate(ware)
        if path is None:
            return
        moved = ""
        if is_inside(path, self.own) or self.writable() != self.own:
            moved = quarantine(self._quarantine, path, "ware")
        if not moved:
            self._refused.add(path)
        self._findings.add(Finding("ware", str(ware), "ware-corrupt", "", f"ware {ware}: {why}", moved or path))

    def wares(self) -> Iterator[tuple[WareId, str]]:
        """Every name of the shape of a ware, with its path, whatever lies there; by directory, sorted."""
        for directory in self.directories:
            yield from _wares_below(directory)

    def own_wares(self) -> Iterator[tuple[WareId, str]]:
        """As wares(), of our own directory only."""
        return _wares_below(self.own)

    def close(self) -> None:
        """Remove what was staged in a stand-in."""
        if self._stand_in_staging is not None:
            self._stand_in_staging.close()
            with suppress(OSError):
                os.rmdir(self._stand_in_staging.tmp)

    def _locate(self, ware: WareId) -> str | None:
        if not is_storable(ware):
            return None
        for directory in self.directories:
            path = packed(directory, ware)
            try:
                status = os.lstat(path) if directory == self.own else os.stat(path)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_size and path not in self._refused:
                if directory == self.own and not self._look:
                    _touch_when_stale(path, status)
                return path
        return None

    def _commit(self, staged: Staged, ware: WareId, facts: WareFacts) -> Path:
        if not is_storable(ware):
            raise Invalid("wareid-invalid", f"no ware can be stored as {ware}", wareId=ware)
        goal = packed(self.writable(), ware)
        file = staged.file
        assert isinstance(file, StagedFile)
        file.settle()
        size = os.fstat(file.fileno()).st_size
        with storing(f"cannot store ware {ware}"):
            make_dirs(os.path.dirname(goal))
            self._name(staged.path, goal, ware)
            fsync_dir(os.path.dirname(goal))
        self._recorded(ware, facts._replace(packed_bytes=size))
        return Path(goal)

    def _name(self, path: str, goal: str, ware: WareId) -> None:
        while True:
            try:
                rename_noreplace(path, goal)
            except FileExistsError:
                status = os.lstat(goal)
                if stat.S_ISREG(status.st_mode) and status.st_size:
                    return  # somebody was first; the bytes are checked whenever they are read
                if not quarantine(self._quarantine, goal, "ware"):
                    raise
                self._findings.add(Finding("ware", str(ware), "ware-corrupt", "type", f"{goal} was no file", goal))
            else:
                return


def _is_meant_writable(directory: str) -> bool:
    """Whether a stand-in takes wares. Root may write anywhere, so a mode that lets nobody write counts as read-only."""
    try:
        return bool(os.stat(directory).st_mode & 0o222) and os.access(directory, os.W_OK | os.X_OK)
    except OSError:
        return False


def _touch_when_stale(path: str, status: os.stat_result) -> None:
    """The time of a file's last use is its mtime, renewed at most once a day."""
    if abs(time.time() - status.st_mtime) > _DAY:
        with suppress(OSError):
            os.utime(path)


def _wares_below(warehouse: str) -> Iterator[tuple[WareId, str]]:
    for first in _names(warehouse):
        if first.startswith("."):
            continue
        for second in _names(f"{warehouse}/{first}"):
            for third in _names(f"{warehouse}/{first}/{second}"):
                path = f"{warehouse}/{first}/{second}/{third}"
                ware = WareId("tar", third)
                if packed(warehouse, ware) == path:
                    yield ware, path
                    continue
                for fourth in _names(path):
                    ware = WareId(first, fourth)
                    if packed(warehouse, ware) == f"{path}/{fourth}":
                        yield ware, f"{path}/{fourth}"


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if is_unwritable(error):
            return []
        raise
