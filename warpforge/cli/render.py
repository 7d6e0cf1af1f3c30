"""From events to what a person or a program reads: JSON lines, plain lines, or a live screen.

Results and JSON go to stdout; everything that is only for people goes to stderr.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from warpforge.cli.app import Common, printable, to_json
from warpforge.engine.events import (
    Event,
    Ingested,
    Notice,
    PlotFinished,
    Reporter,
    StepExplained,
    StepFailed,
    StepFinished,
    StepOutput,
    StepSkipped,
    StepStarted,
    WareMoving,
    WareSupplied,
)

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from warpforge.plan.why import Reason

LAST_LINES: Final = 5
LINES_OF_A_FAILURE: Final = 20
HITS_SHOWN: Final = 20


def make_reporter(common: Common) -> Renderer:
    """The reporter that fits the flags and the terminal."""
    if common.json:
        return JsonLines(common)
    if sys.stderr.isatty() and not common.quiet:
        return LiveScreen(common)
    return PlainLines(common)


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

    def result(self, text: str) -> None:
        """One line of result, on stdout."""
        self._common.result(text)

    def count(self, done: int, total: int) -> None:
        """So many of so many things are done."""

    def close(self) -> None:
        """Nothing more will come."""


class JsonLines(Renderer):
    """The original's lines (log, runrecord, plotresults, output) and ours (started, finished, supplied, moving...)."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self._moved: dict[str, float] = {}  # when we last told of a ware that moves

    def show(self, event: Event) -> None:
        match event:
            case StepFinished():
                self._out({"runrecord": event.record.to_serial()})
                facts = {"step": name(event.step), "hit": event.hit, "seconds": round(event.seconds, 3)}
                self._more("finished", {**facts, "formulaID": event.record.formula_id})
            case StepFailed():
                if event.record:
                    self._out({"runrecord": event.record.to_serial()})
            case StepSkipped():
                self._more("skipped", {"step": name(event.step), "because": name(event.because)})
            case PlotFinished():
                self._out({"plotresults": event.results.to_serial()})
            case StepOutput():
                line = {"output": event.data.decode("utf-8", "backslashreplace")}
                if not self._common.quiet:
                    print(to_json(line), file=sys.stderr, flush=True)
            case StepStarted():
                facts = {"step": name(event.step), "formulaID": event.formula_id, "run": event.run_id}
                self._more("started", facts)
            case WareSupplied():
                facts = {"ware": str(event.ware), "from": event.source, "seconds": round(event.seconds, 3)}
                self._more("supplied", facts)
            case Ingested():
                self._more("ingested", {"ingest": event.ingest, "ware": str(event.ware), "cached": event.cached})
            case StepExplained():
                self._more("why", {"state": "run", **serial_reason(event.reason)})
            case Notice():
                self._more("log", {"Msg": event.message})
            case WareMoving():
                self._move(event)

    def _move(self, event: WareMoving) -> None:
        """A line a second for each ware that moves, the first after one: short ways are told of by their end alone."""
        from time import monotonic

        now, key = monotonic(), f"{event.ware} {event.address}"
        if now - self._moved.setdefault(key, now) >= 1.0:
            self._moved[key] = now
            place = {"ware": str(event.ware), "address": event.address}
            self._more("moving", {**place, "done": event.done, "total": event.total})

    def _more(self, kind: str, value: dict[str, Any]) -> None:
        if not self._common.quiet:
            self._out({kind: value})

    def _out(self, value: dict[str, Any]) -> None:
        print(to_json(value), flush=True)


class Lines(Renderer):
    """What the two pictures for people share: words for events, and the tail of each step's output."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self._tails: dict[tuple[str, ...], Tail] = {}
        self._hits = 0

    def show(self, event: Event) -> None:
        if isinstance(event, StepOutput):
            tail = self._tails.setdefault(event.step, Tail())
            for line in tail.add(event.stream, event.data):
                self.output(event.step, line)
            return
        if isinstance(event, StepStarted):
            self._tails[event.step] = Tail()
            self.started(event)
        elif isinstance(event, StepFinished | StepFailed):
            self._hits += isinstance(event, StepFinished) and event.hit
            self._flush(event.step)
            self.ended(event)
        elif isinstance(event, StepExplained):
            self._explain(event)
        words = self.words(event)
        if words and not self._common.quiet:
            self.line(words)

    def _explain(self, event: StepExplained) -> None:
        from warpforge.cli.reasons import lines

        for line in lines(event.reason) if not self._common.quiet else ():
            self.line(f"why   {line}")

    def _flush(self, step: tuple[str, ...]) -> None:
        tail = self._tails.get(step)
        for line in tail.flush() if tail else ():
            self.output(step, line)

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

    def output(self, step: tuple[str, ...], line: str) -> None:
        """A whole line that an action wrote."""

    def line(self, text: str) -> None:
        """A line that stays on the screen."""
        print(printable(text), file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._hits > HITS_SHOWN and not self._common.verbose and not self._common.quiet:
            self.line(f"memo  {self._hits - HITS_SHOWN} more steps")


class PlainLines(Lines):
    """For a pipe or a file: every line as it comes."""

    def started(self, event: StepStarted) -> None:
        if not self._common.quiet:
            self.line(f"run   {name(event.step)}  {short(event.formula_id)}")

    def output(self, step: tuple[str, ...], line: str) -> None:
        if not self._common.quiet:
            self.line(f"{name(step)} | {line}")


class LiveScreen(Lines):
    """For a terminal: what stays scrolls up; below it each running step with a clock and its last lines."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self._running: dict[tuple[str, ...], float] = {}
        self._moving: dict[str, WareMoving] = {}
        self._live: Live | None = None

    def show(self, event: Event) -> None:
        if isinstance(event, WareMoving):
            self._moving[str(event.ware)] = event
            self._live = self._live or self._open()
            return
        if isinstance(event, WareSupplied | Ingested):
            self._moving.pop(str(event.ware), None)
            self._stop_when_idle()
        super().show(event)

    def started(self, event: StepStarted) -> None:
        from time import monotonic

        self._running[event.step] = monotonic()
        self._live = self._live or self._open()

    def ended(self, event: StepFinished | StepFailed) -> None:
        self._running.pop(event.step, None)
        if isinstance(event, StepFailed):
            self._moving.clear()  # a transfer that failed says so in the error
        if isinstance(event, StepFailed) and not self._common.verbose:
            tail = self._tails.get(event.step)
            for line in tail.last(LINES_OF_A_FAILURE) if tail else ():
                self.line(f"{name(event.step)} | {line}")
        self._stop_when_idle()

    def output(self, step: tuple[str, ...], line: str) -> None:
        if self._common.verbose:
            self.line(f"{name(step)} | {line}")

    def line(self, text: str) -> None:
        if self._live is None:
            super().line(text)
        else:
            from rich.text import Text

            self._live.console.print(Text(printable(text)), soft_wrap=True)

    def close(self) -> None:
        self._stop()
        super().close()

    def _open(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        # room at the right for the ^C that a terminal echoes: a line more would spoil the erasing
        width = max(20, Console(stderr=True).width - 3)
        live = Live(
            console=Console(stderr=True, highlight=False, width=width),
            get_renderable=self._picture,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live

    def _stop_when_idle(self) -> None:
        if not self._running and not self._moving:
            self._stop()

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _picture(self) -> Text:
        from time import monotonic

        from rich.text import Text

        picture = Text(no_wrap=True, overflow="ellipsis")
        for move in [*self._moving.values()]:
            picture.append(
                f"ware  {short(str(move.ware))}  {megabytes(move)}  {printable(move.address)}\n", style="cyan"
            )
        for step, since in [*self._running.items()]:
            picture.append(f"run   {printable(name(step))}  {seconds(monotonic() - since)}\n", style="bold")
            tail = self._tails.get(step)
            for line in tail.last(LAST_LINES) if tail else ():
                picture.append(f"      {printable(line)}\n", style="dim")
        picture.right_crop(1)
        return picture


class Tail:
    """The last lines that a step wrote; out and err keep their own unfinished line."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES_OF_A_FAILURE)
        self._open: dict[str, bytes] = {}

    def add(self, stream: str, data: bytes) -> list[str]:
        """Take bytes; gives the lines that became whole. A line longer than 64 KiB is cut there."""
        *whole, rest = (self._open.get(stream, b"") + data).split(b"\n")
        if len(rest) > 1 << 16:
            whole.append(rest)
            rest = b""
        self._open[stream] = rest
        lines = [_text(line) for line in whole]
        self._lines.extend(lines)
        return lines

    def flush(self) -> list[str]:
        """The unfinished lines, as lines."""
        lines = [_text(rest) for rest in self._open.values() if rest]
        self._open.clear()
        self._lines.extend(lines)
        return lines

    def last(self, count: int) -> list[str]:
        """The last lines, oldest first, an unfinished one too."""
        unfinished = [text for rest in [*self._open.values()] if (text := _text(rest))]
        return [*self._lines, *unfinished][-count:]


def _text(line: bytes) -> str:
    # a progress bar redraws its line: its last picture is the one that counts
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "backslashreplace")


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


def serial_reason(reason: Reason) -> dict[str, Any]:
    """A reason as plain values."""
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(reason)
    return value
