"""From events to what a person or a program reads: JSON lines, plain lines, or a live screen (each in its own file).

Results and JSON go to stdout; everything that is only for people goes to stderr.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import Common, printable
from warpforge.engine.events import (
    Event,
    Ingested,
    Notice,
    Reporter,
    Several,
    StepExplained,
    StepFailed,
    StepFinished,
    StepOutput,
    StepSkipped,
    StepStarted,
    WareMoving,
    WareSupplied,
)
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.cli.tail import Tail
    from warpforge.store.store import Store

HITS_SHOWN: Final = 20


def make_reporter(common: Common) -> Renderer:
    """The reporter that fits the flags and the terminal."""
    if common.json:
        from warpforge.cli.jsonlines import JsonLines

        return JsonLines(common)
    if sys.stderr.isatty() and not common.quiet and not common.settings.dumb:
        from warpforge.cli.live import LiveScreen

        return LiveScreen(common)
    return PlainLines(common)


def with_traces(common: Common, *reporters: Reporter) -> Reporter:
    """These reporters, and whoever makes traces of events, if somebody does."""
    heard = [*reporters, *([common.traces] if common.traces else [])]
    return heard[0] if len(heard) == 1 else Several(*heard)


class Renderer(Reporter):
    """A reporter of the command line; ``close`` gives the terminal back."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        with self._lock:
            self.show(event)

    def show(self, event: Event) -> None:
        """One event, never two at once."""

    def knows(self, store: Store, jobs: int) -> None:
        """Whose run log tells how long things take, and how many boxes there are at once."""

    def result(self, text: str) -> None:
        """One line of result, on stdout."""
        self._common.result(text)

    def count(self, done: int, total: int) -> None:
        """So many of so many things are done."""

    def pause(self) -> None:
        """Something else is printed now."""

    def close(self) -> None:
        """Nothing more will come."""


class Lines(Renderer):
    """What the two pictures for people share: words for events, and the tail of each step's output."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self._tails: dict[tuple[str, ...], Tail] = {}
        self._hits = 0

    def show(self, event: Event) -> None:
        if isinstance(event, StepOutput):
            self.output(event.step, self._tail(event.step).add(event.stream, event.data))
            return
        if isinstance(event, StepStarted):
            self._tails.pop(event.step, None)
            self.started(event)
        elif isinstance(event, StepFinished | StepFailed):
            self._hits += isinstance(event, StepFinished) and event.hit
            if event.step in self._tails:
                self.output(event.step, self._tails[event.step].flush())
            self.ended(event)
            self._tails.pop(event.step, None)
        elif isinstance(event, StepExplained):
            self._explain(event)
        words = self.words(event)
        if words and not self._common.quiet:
            self.line(words)

    def _explain(self, event: StepExplained) -> None:
        from warpforge.cli.reasons import lines

        if not self._common.quiet:
            self.line("\n".join(f"why   {line}" for line in lines(event.reason)))

    def _tail(self, step: tuple[str, ...]) -> Tail:
        if step not in self._tails:
            from warpforge.cli.tail import Tail

            self._tails[step] = Tail()
        return self._tails[step]

    def words(self, event: Event) -> str | None:
        """One line for an event, if a person should see one."""
        match event:
            case StepFinished(hit=True):
                return f"memo  {name(event.step)}" if self._common.verbose or self._hits <= HITS_SHOWN else None
            case StepFinished():
                return f"ok    {name(event.step)}  {seconds(event.seconds)}"
            case StepFailed():
                return f"FAIL  {name(event.step)}"
            case StepSkipped():
                return f"skip  {name(event.step)}  needs {name(event.because)}, which failed"
            case WareSupplied():
                return f"ware  {short(str(event.ware))} from {event.source}" if self._common.verbose else None
            case Ingested():
                return f"ware  {short(str(event.ware))} from {event.ingest}" if self._common.verbose else None
            case Notice():
                return f"{'note' if event.level == 'info' else 'warn'}  {event.message}"
        return None

    def started(self, event: StepStarted) -> None:
        """A step begins to run."""

    def ended(self, event: StepFinished | StepFailed) -> None:
        """A step has ended."""

    def output(self, step: tuple[str, ...], lines: list[bytes]) -> None:
        """Whole lines that an action wrote."""

    def say(self, step: tuple[str, ...], lines: list[bytes]) -> None:
        """Show an action's lines, with its name before each."""
        from warpforge.cli.tail import text_of

        if lines:
            self.line("\n".join(f"{name(step)} | {text_of(line)}" for line in lines))

    def line(self, text: str) -> None:
        """A line that stays on the screen, or several."""
        print(printable(text), file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._hits > HITS_SHOWN and not self._common.verbose and not self._common.quiet:
            self.line(f"memo  {counted(self._hits - HITS_SHOWN, 'more step')}")
        self._hits = 0


class PlainLines(Lines):
    """For a pipe or a file: every line as it comes."""

    def started(self, event: StepStarted) -> None:
        if not self._common.quiet:
            self.line(f"run   {name(event.step)}  {short(event.formula_id)}")

    def output(self, step: tuple[str, ...], lines: list[bytes]) -> None:
        if not self._common.quiet:
            self.say(step, lines)


def name(step: tuple[str, ...]) -> str:
    """A step's path as people write it; a formula that stands alone is called so."""
    return "/".join(step) or "formula"


def short(text: str) -> str:
    """The first part of an id, enough to tell it from others."""
    return text if len(text) <= 20 else text[:19] + "…"


def megabytes(move: WareMoving) -> str:
    """How far a transfer is."""
    done = f"{move.done / 1e6:.1f}"
    return f"{done} of {move.total / 1e6:.1f} MB" if move.total else f"{done} MB"


def seconds(value: float) -> str:
    """A duration for people."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
