"""Doors: who is in a store and who waits before it, over all threads and processes.

Behind one is the collector or everybody else, behind the others whoever makes a thing that nobody need make twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from warpforge.errors import Unable
from warpforge.fsx.atomic import make_dirs
from warpforge.fsx.locks import Busy, Lock
from warpforge.model.atoms import WareId

from .debris import sweep
from .finding import storing
from .layout import Layout
from .stay import Alone, Away, Company, Stay, busy

if TYPE_CHECKING:
    from .pins import Pin


class Doors:
    """Those of the store at ``layout``."""

    def __init__(self, layout: Layout) -> None:
        self.layout: Final = layout
        self._company = Company()

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

    def pin(self) -> Pin:
        """Keep wares from garbage collection while we run. Errors: ``store``."""
        from .pins import Pin

        return Pin(self.layout.roots)

    def sweep(self) -> int:
        """Remove what dead processes left behind; returns how many things. Nothing of a live process is touched."""
        return sweep(self.layout.tmp) + sweep(self.layout.roots)

    def _lock(self, kind: str, *, shared: bool, timeout: float | None) -> Lock:
        path = self.layout.lock(kind, "store")
        return StoreLock(path, "the store", shared=shared, timeout=timeout, optional=shared)


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
