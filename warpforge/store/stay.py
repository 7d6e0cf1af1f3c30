"""A stay: a command is in the store, and nobody collects garbage meanwhile, but for when it only waits.

Whoever resolves and uses wares holds the collector's lock, shared. While every thread of a command does no more than
wait for an action or for somebody else, it is **away**: what it needs is pinned and the lock let go, so that garbage
is collected beside builds that take hours. It comes back before it touches a ware again.

A collector that waits goes first: behind a second lock, the **gate**, which it holds from when it asks. Who comes in
passes the gate, but waits there no longer than COURTESY.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Final

from warpforge.errors import Unable, WarpforgeError
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.fsx.locks import Lock

    from .pins import Pin

COURTESY: Final = 1.0  # seconds
PATIENCE: Final = 60.0  # seconds that a command waits for a garbage collection to end when it begins

MakeLock = Callable[[float | None], "Lock"]  # with a timeout in seconds


class Company:
    """Those threads of this process that are in the store: they share one stay, over when the last of them leaves."""

    def __init__(self) -> None:
        self.stay: Stay | None = None
        self._count = 0
        self._mutex = threading.Lock()

    def join(self, stay: Stay) -> Stay:
        """One more; gives the stay, this one if there is none."""
        with self._mutex:
            self.stay = self.stay or stay
            self._count += 1
            return self.stay

    def leave(self) -> bool:
        """One less; whether that was the last."""
        with self._mutex:
            self._count -= 1
            if not self._count:
                self.stay = None
            return not self._count


class Stay:
    """Use as ``with store.use():``. Entering raises ``store`` (busy)."""

    def __init__(self, gate: MakeLock, lock: MakeLock, pin: Callable[[], Pin], company: Company) -> None:
        self._make_gate = gate
        self._make_lock = lock
        self._make_pin = pin
        self._company = company
        self._shared: Stay = self
        self._mutex = threading.Lock()
        self._lock: Lock | None = None
        self._here = 0  # threads that may touch wares
        self._needed: set[WareId] = set()
        self._pinned: set[WareId] = set()
        self._pin: Pin | None = None

    def need(self, what: Iterable[object]) -> None:
        """The wares among these are kept until the stay is over, also while we are away."""
        self._needed.update(ware for ware in what if isinstance(ware, WareId))

    def come(self, patience: float | None = None) -> None:
        """One more thread touches wares. Errors: ``store`` (busy) when patience is over."""
        with self._mutex:
            if self._lock is None:
                with suppress(WarpforgeError), self._make_gate(COURTESY):
                    pass
                lock = self._make_lock(patience)
                lock.acquire()
                self._lock = lock
            self._here += 1

    def go(self) -> None:
        """One thread less does."""
        with self._mutex:
            self._here -= 1
            if not self._here and self._keep():
                self._release()

    def away(self) -> Away:
        """This thread only waits: ``with stay.away():``."""
        return Away(self)

    def _keep(self) -> bool:
        """Pin what is needed; whether that could be done."""
        missing = self._needed - self._pinned
        try:
            if missing:
                self._pin = self._pin or self._make_pin()
                self._pin.add(missing)
                self._pinned.update(missing)
        except WarpforgeError:
            return False  # a full disk, or a store that is read-only: then we stay
        return True

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def __enter__(self) -> Stay:
        self._shared = self._company.join(self)
        try:
            self._shared.come(PATIENCE)
        except BaseException:
            self._company.leave()
            raise
        return self._shared

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._company.leave():
            self._shared.end()
        else:
            self._shared.go()

    def end(self) -> None:
        """Need nothing any more. A stay of a part of this process is not entered: it comes, goes and ends."""
        self._release()
        if self._pin is not None:
            self._pin.release()


class Away:
    """One thread's absence; ``end`` it early to touch wares again."""

    def __init__(self, stay: Stay | None) -> None:
        self._stay = stay
        self._away = False

    def end(self, patience: float | None = None) -> None:
        """Come back, however long a collection takes; may be called again."""
        if self._away and self._stay is not None:
            self._away = False
            self._stay.come(patience)

    def __enter__(self) -> Away:
        if self._stay is not None:
            self._stay.go()
            self._away = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Exception):
            self.end()
        else:
            with suppress(WarpforgeError):  # interrupted: there is no time to wait for
                self.end(0.5)


class Alone:
    """The collector: ``with store.exclusive():``. Nobody else is in the store, though some may be away.

    ``away``: the pids of these; given when nobody may be. Entering raises ``store`` (busy).
    """

    def __init__(self, gate: Lock, lock: Lock, patience: float, away: Callable[[], list[int]] | None = None) -> None:
        self._gate = gate
        self._lock = lock
        self._patience = patience
        self._away = away

    def __enter__(self) -> Alone:
        deadline = monotonic() + self._patience
        try:
            self._gate.acquire()
            self._lock.acquire()
            while self._away is not None and (pids := self._away()):
                if monotonic() > deadline:
                    raise busy("the store", pids, self._lock.path)
                self._lock.release()  # they must come back to end
                sleep(0.1)
                self._lock.acquire()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        self._gate.release()


def busy(what: str, pids: Iterable[int], path: str, cause: BaseException | None = None) -> Unable:
    """The error for something that somebody else holds."""
    known = ", ".join(map(str, pids)) or "unknown"
    return Unable(
        "store",
        f"{what} is in use by another process (pid {known}): wait for it, or end it",
        cause=cause,
        reason="busy",
        pid=known,
        path=path,
    )
