"""The store of one workspace: everything in this package over one directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from warpforge.errors import Unable
from warpforge.fsx.atomic import link_or_copy, make_dirs, movable, write_atomic
from warpforge.fsx.locks import Busy, Lock
from warpforge.model.atoms import WareId

from .debris import sweep
from .finding import Finding, Findings, quarantine, storing
from .layout import FORMAT, Layout, file_name, is_inside
from .memo import Memo
from .shelf import Shelf
from .staging import Staging
from .stay import Alone, Away, Company, Stay, busy
from .warehouse import Warehouse

if TYPE_CHECKING:
    from .built import Built
    from .duals import Duals
    from .facts import WareFacts
    from .failed import FailedBoxes
    from .images import Images
    from .index import Index
    from .invocations import Invocations
    from .kept import Kept
    from .layers import Layers
    from .origins import Origins
    from .partials import Partials
    from .pins import Pin
    from .runs import Runs


class Store:
    """Wares, memos and runs below a workspace's internal directory.

    ``warehouse``: a directory that stands in for the warehouse, for this command. ``owner``: uid and gid that run
    the boxes, when that is not us. ``look``: looking changes nothing, not even when a ware was last used.
    Making one reads one small file and writes nothing.
    Errors: ``store`` (version) for a store that another version of this program wrote.
    """

    def __init__(
        self,
        internal: str | os.PathLike[str],
        *,
        warehouse: str | os.PathLike[str] | None = None,
        owner: tuple[int, int] | None = None,
        look: bool = False,
    ) -> None:
        self.layout: Final = Layout(os.path.abspath(internal))
        self.staging: Final = Staging(self.layout.tmp, self._mark)
        self.owner: Final = owner
        self._company = Company()
        self._findings = Findings()
        self._check_format()
        stand_in = None if warehouse is None else os.path.abspath(warehouse)
        own = f"{self.layout.internal}/warehouse"
        self.warehouse: Final = Warehouse(
            own,
            None if stand_in == own else stand_in,
            self.staging,
            self._findings,
            self._record,
            self.layout.quarantine,
            look=look,
        )
        self.shelf: Final = Shelf(self.layout, self.staging, owner, look=look)
        self.memo: Final = Memo(self.layout, self.staging, self._findings, look=look)

    @property
    def internal(self) -> Path:
        """The directory of the store."""
        return Path(self.layout.internal)

    @cached_property
    def duals(self) -> Duals:
        """The dual ids; asked only when a ware comes in or is unpacked."""
        from .duals import Duals

        return Duals(self.layout, self.staging)

    @cached_property
    def images(self) -> Images:
        """What images say besides their trees."""
        from .images import Images

        return Images(self.layout, self.staging)

    @cached_property
    def layers(self) -> Layers:
        """Layers of images as they came."""
        from .layers import Layers

        return Layers(self.layout, self.staging, lambda digest: self._turn("layer", digest))

    @cached_property
    def index(self) -> Index:
        """The index; LMDB is opened when something is first asked or written."""
        from .index import Index

        return Index(self.layout, self._findings, self._fill_index)

    @cached_property
    def runs(self) -> Runs:
        """The run log."""
        from .runs import Runs

        return Runs(self.layout, self.staging, lambda formula_id, run_id: self.index.put_last_run(formula_id, run_id))

    @cached_property
    def invocations(self) -> Invocations:
        """What commands ran."""
        from .invocations import Invocations

        return Invocations(self.layout, self.staging)

    @cached_property
    def built(self) -> Built:
        """What modules gave the last time."""
        from .built import Built

        return Built(self.layout, self.staging)

    @cached_property
    def origins(self) -> Origins:
        """From where wares came that are made of several parts."""
        from .origins import Origins

        return Origins(self.layout, self.staging)

    @cached_property
    def failed(self) -> FailedBoxes:
        """Boxes of actions that failed."""
        from .failed import FailedBoxes

        return FailedBoxes(self.layout)

    @cached_property
    def kept(self) -> Kept:
        """What a person pinned."""
        from .kept import Kept

        return Kept(self.layout, self.staging)

    @cached_property
    def partials(self) -> Partials:
        """Downloads that broke off."""
        from .partials import Partials

        return Partials(self.layout.partial, self.warehouse)

    def has(self, ware: WareId) -> bool:
        """Whether a ware's bytes are here, packed or unpacked."""
        return self.warehouse.has(ware) or self.shelf.has(ware)

    def was_verified(self, ware: WareId) -> bool:
        """Whether the packed bytes that lie here were verified by this store: in our own directory, or known to us."""
        path = self.warehouse.find(ware)
        if path is None:
            return False
        if is_inside(str(path), self.warehouse.own):
            return True
        facts = self.index.ware(ware)
        return facts is not None and 0 < facts.packed_bytes == path.stat().st_size and facts.entries > 0

    def findings(self) -> list[Finding]:
        """What was not as it should be since the last call, each thing once."""
        return self._findings.take()

    @property
    def stay(self) -> Stay | None:
        """While somebody uses us."""
        return self._company.stay

    def use(self) -> Stay:
        """Hold this (``with store.use():``) while wares are resolved and used: no garbage is collected meanwhile.

        What dead processes left is swept first. Entering raises ``store`` (busy).
        """
        self.sweep()
        with suppress(OSError):  # read-only: then nobody collects garbage here either
            make_dirs(self.layout.locks, sync=False)
        return Stay(
            lambda timeout: self._lock("gate", shared=True, timeout=timeout),
            lambda timeout: self._lock("gc", shared=True, timeout=timeout),
            self.pin,
            self._company,
        )

    def need(self, what: Iterable[object]) -> None:
        """The wares among these are needed until our stay is over. Without a stay nothing is kept."""
        if self.stay is not None:
            self.stay.need(what)

    def away(self) -> Away:
        """``with store.away():`` while this thread only waits: what we need is pinned, and garbage may be collected."""
        return Away(self.stay)

    def exclusive(self, timeout: float = 0, *, strict: bool = False) -> Alone:
        """Hold this while deleting: nobody touches wares meanwhile; strict: nor does any action run from them.

        ``timeout``: seconds. Entering raises ``store`` (busy).
        """
        with storing(f"cannot lock {self.layout.internal}"):
            make_dirs(self.layout.locks, sync=False)
        gate, lock = (self._lock(kind, shared=False, timeout=timeout) for kind in ("gate", "gc"))
        return Alone(gate, lock, timeout, self._pids_away if strict else None)

    def _pids_away(self) -> list[int]:
        from .pins import live

        with storing("cannot read what running processes need"):
            return live(self.layout.roots)

    def single_flight(
        self,
        key: str | WareId,
        *,
        timeout: float | None = None,
        on_wait: Callable[[list[int]], None] | None = None,
    ) -> Lock:
        """One at a time for a formula id or a ware, over all processes and threads. Look again once you hold it.

        ``on_wait`` is told the holders' pids if we have to wait. Errors on entering: ``store`` (busy, pid).
        """
        return self._flight("ware" if isinstance(key, WareId) else "formula", str(key), timeout, on_wait)

    def _flight(
        self, kind: str, key: str, timeout: float | None, on_wait: Callable[[list[int]], None] | None = None
    ) -> Lock:
        with storing(f"cannot lock {key}"):
            make_dirs(self.layout.locks, sync=False)
        return StoreLock(self.layout.lock(kind, key), key, timeout=timeout, on_wait=on_wait)

    @contextmanager
    def turn(self, key: str | WareId, waits: Callable[[str], None] = lambda pid: None) -> Iterator[None]:
        """As single_flight, for as long as it takes; who has to wait is away meanwhile. ``waits`` hears for which pid.

        Errors: ``store``.
        """
        with self._turn("ware" if isinstance(key, WareId) else "formula", str(key), waits):
            yield

    @contextmanager
    def _turn(self, kind: str, key: str, waits: Callable[[str], None] = lambda pid: None) -> Iterator[None]:
        lock = self._flight(kind, key, 0)
        try:
            lock.acquire()
        except Unable as error:
            if error.reason != "busy":
                raise
            waits(error.details.get("pid", ""))
            lock = self._flight(kind, key, None)
            with self.away():
                lock.acquire()
        with lock:
            yield

    def scratch(self, hint: str) -> str:
        """A fresh private directory for anything that takes files to do; it is gone when the store is closed."""
        path = self.staging.new(hint)
        with storing(f"cannot make {path}"):
            os.mkdir(path, 0o700)
        return path

    @contextmanager
    def scratched(self, hint: str) -> Iterator[Path]:
        """A scratch directory that is gone when the block ends."""
        from warpforge.fsx.remove import remove_tree

        path = self.scratch(hint)
        try:
            yield Path(path)
        finally:
            with suppress(OSError):
                remove_tree(-100, path)

    def pin(self) -> Pin:
        """Keep wares from garbage collection while we run. Errors: ``store``."""
        from .pins import Pin

        return Pin(self.layout.roots)

    def sweep(self) -> int:
        """Remove what dead processes left behind; returns how many things. Nothing of a live process is touched."""
        return sweep(self.layout.tmp) + sweep(self.layout.roots)

    def set_aside(self, path: str, kind: str) -> str:
        """Move something that is wrong to the quarantine, where it is kept; gives its new path, "" when it must stay.

        A tree loses its stamp first. Errors: ``store``.
        """
        with storing(f"cannot set {path} aside"):
            if kind == "tree":
                self._unstamp(path)
            with movable(path):
                return quarantine(self.layout.quarantine, path, kind)

    def keep_beside(self, name: str, results: Mapping[str, object]) -> str:
        """Keep results that should be the same in a directory of the quarantine, each under its own name; gives it.

        A ware's packed bytes, of which the warehouse may let go then; of anything else its text. Errors: ``store``.
        """
        directory = f"{self.layout.quarantine}/{file_name(name)}"
        with storing(f"cannot keep results in {directory}"):
            make_dirs(directory, 0o700)
            for key, result in results.items():
                goal = f"{directory}/{file_name(key)}"
                packed = self.warehouse.find(result) if isinstance(result, WareId) else None
                with suppress(FileExistsError):
                    if packed is not None:
                        link_or_copy(str(packed), goal)
                    else:
                        write_atomic(goal, f"{result}\n".encode(), sync=False)
        return directory

    def drop_tree(self, path: str) -> None:
        """Delete a tree on the shelf, its stamp first. Errors: ``store``."""
        from warpforge.fsx.remove import remove_tree

        with storing(f"cannot delete {path}"):
            self._unstamp(path)
            aside = self.staging.new("old")
            with movable(path):
                os.rename(path, aside)
            remove_tree(-100, aside)

    def _unstamp(self, path: str) -> None:
        from .trees import stamp_of

        with suppress(FileNotFoundError):
            os.unlink(stamp_of(self.layout, path))

    def reindex(self) -> int:
        """Write the index anew from the files; returns the number of wares. The ingest cache is forgotten."""
        return self.index.reindex()

    def _fill_index(self) -> int:
        """What the files tell, beside what is known already."""
        from .facts import WareFacts

        index = self.index
        count = 0
        for ware, path in self.warehouse.wares():
            with suppress(OSError):
                size = os.lstat(path).st_size
                if index.ware(ware) is None:
                    index.put_ware(ware, WareFacts(packed_bytes=size))
                count += 1
        seen: set[str] = set()
        for entry in self.runs.entries():
            if entry.formula_id and entry.formula_id not in seen:
                seen.add(entry.formula_id)
                if index.last_run(entry.formula_id) is None:
                    index.put_last_run(entry.formula_id, entry.id)
        index.flush()
        return count

    def close(self) -> None:
        """Write what waits for the index and remove what is still staged; may be called again."""
        if "index" in self.__dict__:
            self.index.close()
        self.warehouse.close()
        self.staging.close()

    def _record(self, ware: WareId, facts: WareFacts) -> None:
        self.index.put_ware(ware, facts)

    def _lock(self, kind: str, *, shared: bool, timeout: float | None) -> Lock:
        path = self.layout.lock(kind, "store")
        return StoreLock(path, "the store", shared=shared, timeout=timeout, optional=shared)

    def _check_format(self) -> None:
        try:
            with storing(f"cannot read {self.layout.format}"), open(self.layout.format, "rb") as file:
                text = file.read(64)
        except Unable as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return
            raise
        if text and text.strip() != str(FORMAT).encode():  # an empty one was torn by a power cut, and says nothing
            found = text.strip().decode("ascii", "backslashreplace") or "nothing"
            raise Unable(
                "store",
                f"{self.layout.internal} has store format {found}, this program knows {FORMAT}: "
                "use the one that wrote it",
                reason="version",
                path=self.layout.internal,
            )

    def _mark(self) -> None:
        """Write the format beside the first thing that we write."""
        if not os.path.exists(self.layout.format) or not os.path.getsize(self.layout.format):
            write_atomic(self.layout.format, f"{FORMAT}\n".encode())

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StoreLock(Lock):
    """A lock whose refusal is the code ``store`` with reason busy and the holder's pid."""

    __slots__ = ("_what",)

    def __init__(
        self,
        path: str,
        what: str,
        *,
        shared: bool = False,
        timeout: float | None = None,
        on_wait: Callable[[list[int]], None] | None = None,
        optional: bool = False,
    ) -> None:
        super().__init__(path, shared=shared, timeout=timeout, on_wait=on_wait, optional=optional)
        self._what = what

    def acquire(self) -> None:
        try:
            with storing(f"cannot lock {self._what}"):
                super().acquire()
        except Unable as error:
            cause = error.__cause__
            if not isinstance(cause, Busy):
                raise
            raise busy(self._what, cause.pids, self.path, cause) from cause
