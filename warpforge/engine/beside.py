"""Plots side by side: several of one engine at once, each told to a reporter of its own, and stopped on its own.

Together they have as many boxes as the engine has jobs; what the memo answers waits for none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warpforge.engine.chronicle import Chronicle
from warpforge.engine.events import Reporter, Several
from warpforge.engine.execute import Executor
from warpforge.engine.run import PlotRun
from warpforge.engine.workers import TICK
from warpforge.errors import Failed
from warpforge.model.plot import PlotResults
from warpforge.plan.plan import Plan
from warpforge.plan.refs import wares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warpforge.engine.conduct import Conduct
    from warpforge.engine.engine import Engine
    from warpforge.engine.job import Job, Where
    from warpforge.engine.options import Options
    from warpforge.engine.slots import Turn
    from warpforge.model.plot import Plot
    from warpforge.model.run import RunRecord
    from warpforge.sandbox.protocol import Cancel


class Places:
    """For so many boxes at once."""

    def __init__(self, count: int) -> None:
        self._places = threading.Semaphore(count)

    @contextmanager
    def place(self, go_on: Callable[[], bool]) -> Iterator[None]:
        """One of them, as soon as there is one; without one when ``go_on`` says no: nothing will be run in it."""
        while not (has := self._places.acquire(timeout=TICK)) and go_on():
            pass
        try:
            yield
        finally:
            if has:
                self._places.release()


class Stop:
    """Stops one plot, from any thread and for good."""

    def __init__(self) -> None:
        from warpforge.sandbox.protocol import Cancel

        self.cancel: Cancel = Cancel()
        self.is_set = False

    def set(self) -> None:
        """Kill what runs; nothing more does."""
        self.is_set = True
        self.cancel.cancel()


class Beside:
    """Of one engine. Any thread may run plots."""

    def __init__(self, engine: Engine, options: Options, chronicle: Chronicle) -> None:
        self._engine = engine
        self._options = options
        self._chronicle = chronicle
        self._places = Places(options.jobs)
        self._naming = threading.Lock()

    def run(self, plot: Plot, where: Where, reporter: Reporter, stop: Stop) -> PlotResults:
        """As ``Engine.replay``, beside others."""
        engine = self._engine
        chronicle = Chronicle(self._options.invocation, self._options.jobs)
        reporter = Several(reporter, chronicle) if self._options.invocation else reporter
        executor = _Executor(engine, self._conduct, reporter, self._options, self._places, stop)
        try:
            with engine.store.use(), chronicle.plot(where) as told:
                running = PlotRun(executor, engine.repack, reporter, stop.set, jobs=self._options.jobs)
                results = running.run(self._plan(plot, where), where)
                told.append(results)
                return results
        finally:
            executor.close()
            self._chronicle.take(chronicle)

    def _conduct(self) -> Conduct:
        with self._naming:  # made by the first who asks
            return self._engine.conduct

    def _plan(self, plot: Plot, where: Where) -> Plan:
        """With what its names stand for; one after the other, for both may ingest the same directory."""
        engine = self._engine
        with self._naming:
            pins = engine.pinner.pins(plot, where.base, None)
            engine.pinner.belong(where.plot, wares(plot))
        engine.store.need(pins.values())
        return Plan(plot, pins)


class _Executor(Executor):
    """Waits for a place before it runs a formula."""

    def __init__(
        self,
        engine: Engine,
        conduct: Callable[[], Conduct],
        reporter: Reporter,
        options: Options,
        places: Places,
        stop: Stop,
    ) -> None:
        super().__init__(engine.store, engine.supply, conduct, reporter, lambda: stop.cancel, options)
        self._places = places
        self._stop = stop

    def execute(self, job: Job, turn: Turn | None = None) -> RunRecord:
        with self._places.place(lambda: not self._stop.is_set):
            if self._stop.is_set:
                raise Failed("interrupted", "stopped before it began")
            return super().execute(job, turn)
