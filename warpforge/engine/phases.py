"""Phases: the parts of executing a step, timed and told, so that slow ones can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, time
from typing import TYPE_CHECKING

from warpforge.engine.events import Reporter, StepPhase

if TYPE_CHECKING:
    from warpforge.plan.plan import StepPath


class Phases:
    """The phases of one step so far."""

    def __init__(self, step: StepPath, reporter: Reporter) -> None:
        self._step = step
        self._reporter = reporter
        self._offset = time() - monotonic()
        self._found: list[tuple[str, float, float]] = []

    @contextmanager
    def of(self, phase: str) -> Iterator[None]:
        """What is done inside is one phase, also when it fails."""
        began = self.begin(phase)
        try:
            yield
        finally:
            self.end(phase, began)

    def begin(self, phase: str) -> float:
        """A phase that ends elsewhere: hand what this gives to ``end``."""
        began = monotonic()
        self._reporter.tell(StepPhase(self._step, phase, began, None))
        return began

    def end(self, phase: str, began: float) -> None:
        """The end of a phase."""
        seconds = monotonic() - began
        self._found.append((phase, began, seconds))
        self._reporter.tell(StepPhase(self._step, phase, began, seconds))

    def since(self, started: float) -> list[tuple[str, float, float]]:
        """Name, begin relative to a time of the wall clock, and seconds, in the order in which they ended."""
        return [
            (phase, round(began + self._offset - started, 6), round(seconds, 6))
            for phase, began, seconds in self._found
        ]
