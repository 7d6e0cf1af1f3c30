"""Remake: a ware that is nowhere to be had is made again by the replay of a release that names it.

Replays are a lazy source of bytes: asked last, when every mirror has failed. What a replay needs and nobody has is
remade in turn. A replay that would wait for what is being made already, by way of itself, is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from warpforge.engine.events import Notice, Reporter
from warpforge.engine.job import Where
from warpforge.errors import Missing, WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.model.plot import Plot, PlotResults
from warpforge.plan.refs import wares

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Lookup
    from warpforge.plan.plan import Pins

RunReplay = Callable[[Plot, Where], PlotResults]


class Replay(NamedTuple):
    """The plot of a release, and where it lies."""

    module: str
    release: str
    plot: Plot
    path: Path

    def __str__(self) -> str:
        return f"the replay of {self.module}:{self.release}"


class Remaker:
    """Makes wares again. ``modules`` guesses whose a ware may be; ``needs`` gives all that a plot takes.

    ``allowed``: hazardous releases whose replays may be run all the same.
    """

    def __init__(
        self,
        lookup: Lookup,
        modules: Callable[[WareId], Iterable[str]],
        pins: Callable[[Plot, Path], Pins],
        run: RunReplay,
        reporter: Reporter,
        allowed: Callable[[], frozenset[str]],
    ) -> None:
        self._lookup = lookup
        self._modules = modules
        self._pins = pins
        self._run = run
        self._reporter = reporter
        self._allowed = allowed
        self._lock = Lock()
        self._open: dict[WareId, frozenset[WareId]] = {}  # what is being made, and what its replay takes

    def remake(self, ware: WareId) -> str:
        """Make a ware from the first replay that gives it; says which. Empty when none gives it.

        Errors: ``missing``, because of the last error, where all that might were tried and at least one failed.
        """
        failed: WarpforgeError | None = None
        for replay in self.replays(ware):
            if not self._begin(ware, replay):
                continue
            try:
                self._reporter.tell(Notice("info", f"{ware} is nowhere to be had: running {replay}"))
                results = self._run(replay.plot, Where(replay.path, replay.module))
            except WarpforgeError as error:
                if error.code == "warpforge-error-interrupted":
                    raise
                self._reporter.tell(Notice("warning", f"{replay} failed: {error.chain()[-1].message}"))
                failed = Missing("missing", f"{ware} is nowhere to be had, and {replay} failed", cause=error)
                continue
            finally:
                with self._lock:
                    del self._open[ware]
            if ware in results.results.values():
                return str(replay)
            made = ", ".join(map(str, results.results.values())) or "nothing"
            self._reporter.tell(Notice("warning", f"{replay} gave {made} instead of {ware}"))
        if failed is not None:
            raise failed
        return ""

    def replays(self, ware: WareId) -> Iterator[Replay]:
        """Every replay of a release that names a ware: those of modules that are likely to first."""
        likely = dict.fromkeys(self._modules(ware))
        seen: set[tuple[str, str]] = set()
        for module in likely:
            yield from self._of_module(module, ware, seen)
        for catalog in self._lookup.catalogs():
            for module in catalog.modules():
                if module not in likely:
                    yield from self._of_module(module, ware, seen)

    def _of_module(self, module: str, ware: WareId, seen: set[tuple[str, str]]) -> Iterator[Replay]:
        for catalog in self._lookup.catalogs():
            known = catalog.module(module)
            for name in known.releases if known else ():
                release = catalog.release(known, name) if known else None
                if release is None or release.replay is None or ware not in release.items.values():
                    continue
                if release.hazard is not None and f"{module}:{name}" not in self._allowed():
                    continue
                plot = None if (module, release.replay) in seen else catalog.replay(module, release.replay)
                if plot is not None:
                    seen.add((module, release.replay))
                    yield Replay(module, name, plot, Path(catalog.replay_path(module, release.replay)))

    def _begin(self, ware: WareId, replay: Replay) -> bool:
        """Note that a ware is being made by a replay, unless it would wait for itself."""
        pinned = self._pins(replay.plot, Path(os.path.dirname(replay.path)))
        takes = frozenset(pin for pin in (*pinned.values(), *wares(replay.plot)) if isinstance(pin, WareId))
        with self._lock:
            self._open[ware] = takes
            if not self._waits_for(ware, ware):
                return True
            del self._open[ware]
        self._reporter.tell(Notice("warning", f"{replay} needs {ware} itself: it cannot make it"))
        return False

    def _waits_for(self, start: WareId, goal: WareId) -> bool:
        waiting, seen = [start], set()
        while waiting:
            for taken in self._open.get(waiting.pop(), ()):
                if taken == goal:
                    return True
                if taken not in seen:
                    seen.add(taken)
                    waiting.append(taken)
        return False
