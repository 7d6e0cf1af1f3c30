"""The board: what is running, waiting and done, as plain values, and how that looks in so many columns and rows.

It hears events and never asks; ``picture`` is pure, so that it can be looked at without a terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from warpforge.cli.picture import Row
from warpforge.cli.render import name, seconds
from warpforge.engine.events import (
    Event,
    Ingested,
    PlotBegan,
    StepFailed,
    StepFinished,
    StepPhase,
    StepSkipped,
    StepStarted,
    WareMoving,
    WareSupplied,
)
from warpforge.model.units import counted
from warpforge.plan.foresee import makespan

if TYPE_CHECKING:
    from warpforge.cli.tail import Tail
    from warpforge.engine.history import History
    from warpforge.engine.job import Where
    from warpforge.plan.plan import Plan, StepPath

LAST_LINES: Final = 5  # of one step's output at most
TRANSFERS: Final = 4
MANY: Final = 5_000  # steps from which on nothing is estimated
SOON: Final = 2.0  # seconds between two estimates


class Running:
    """A step that a worker has."""

    def __init__(self, since: float, usual: float | None) -> None:
        self.since = since
        self.usual = usual
        self.phase = ""


class Transfer:
    """A ware that moves."""

    def __init__(self, event: WareMoving, since: float) -> None:
        self.event = event
        self.since = since
        self.first = event.done


class Board:
    """The state of one command. ``clock``: seconds that only grow."""

    def __init__(self, jobs: int = 1, clock: Callable[[], float] = monotonic) -> None:
        self.began = clock()
        self.history: History | None = None
        self.jobs = jobs
        self.total = 0
        self.hits: list[str] = []  # their runs
        self.ran: list[tuple[str, float]] = []
        self.failed: list[str] = []
        self.skipped: list[str] = []
        self.running: dict[StepPath, Running] = {}
        self.transfers: dict[str, Transfer] = {}
        self._clock = clock
        self._plan: Plan | None = None
        self._where: Where | None = None
        self._left: dict[StepPath, None] = {}
        self._estimate: tuple[float, float | None] = (-SOON, None)

    @property
    def busy(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.running or self.transfers)

    @property
    def done(self) -> int:
        return len(self.hits) + len(self.ran) + len(self.failed) + len(self.skipped)

    def hear(self, event: Event) -> None:
        """Take what happened."""
        match event:
            case PlotBegan():
                self.total += len(event.plan.steps)
                if not self.running:  # else it is a replay that one of them needs
                    self._plan, self._where = event.plan, event.where
                    self._left = dict.fromkeys(event.plan.steps)
            case StepPhase(seconds=None):
                self._running(event.step).phase = event.phase
            case StepStarted():
                self._running(event.step)
            case StepFinished():
                self._end(event.step)
                if event.hit:
                    self.hits.append(event.record.guid)
                else:
                    self.ran.append((name(event.step), event.seconds))
            case StepFailed():
                self._end(event.step)
                self.failed.append(name(event.step))
                self.transfers.clear()  # one that failed says so in the error
            case StepSkipped():
                self._end(event.step)
                self.skipped.append(name(event.step))
            case WareMoving():
                key = f"{event.ware} {event.address}"
                if event.done == event.total:
                    self.transfers.pop(key, None)
                elif key in self.transfers:
                    self.transfers[key].event = event
                else:
                    self.transfers[key] = Transfer(event, self._clock())
            case WareSupplied() | Ingested():
                for key in [key for key in self.transfers if key.startswith(f"{event.ware} ")]:
                    del self.transfers[key]

    def _running(self, step: StepPath) -> Running:
        if step not in self.running:
            self.running[step] = Running(self._clock(), self._usual(step))
        return self.running[step]

    def _end(self, step: StepPath) -> None:
        self.running.pop(step, None)
        self._left.pop(step, None)

    def learn(self, history: History) -> None:
        """From now on it is known how long things took before."""
        self.history = history
        for step, running in [*self.running.items()]:
            running.usual = self._usual(step)

    def _usual(self, step: StepPath) -> float | None:
        if self.history is None or self._where is None:
            return None
        guess = self.history.guess("", self._where, step)
        return guess.seconds if guess else None

    def left(self) -> float | None:
        """Seconds until all is done, as far as steps ran before; None when nobody knows."""
        now = self._clock()
        if now - self._estimate[0] >= SOON:
            self._estimate = (now, self._foretell(now))
        at, found = self._estimate
        return None if found is None else max(0.0, found - (now - at))

    def _foretell(self, now: float) -> float | None:
        plan = self._plan
        if plan is None or self.history is None or not self._left or len(self._left) > MANY:
            return None
        times: dict[StepPath, float] = {}
        for step in [*self._left]:
            running = self.running.get(step)
            usual = running.usual if running else self._usual(step)
            if usual is None:
                return None
            times[step] = max(0.0, usual - (now - running.since)) if running else usual
        # what runs now goes first, for it has its place already
        order = sorted(times, key=lambda step: step not in self.running)
        return makespan({step: times[step] for step in order}, {step: plan.needs(step) for step in order}, self.jobs)

    # how it looks

    def picture(self, width: int, height: int, tails: dict[StepPath, Tail]) -> list[Row]:
        """At most ``height`` rows, the most important ones first; whoever shows them cuts them at ``width``."""
        now = self._clock()
        rows = [self._head(width, now)]
        rows += self._moving(width, now, max(1, min(TRANSFERS, height // 3)))
        return rows[:height] + self._steps(width, max(0, height - len(rows)), now, tails)

    def _head(self, width: int, now: float) -> Row:
        row: Row = [(f"{self.done}/{max(self.total, self.done + len(self.running))}", "bold"), (" ", "")]
        if width >= 70:
            row += [*_bar(self.done / self.total if self.total else 0.0, 20), (" ", "")]
        waiting = max(0, self.total - self.done - len(self.running))
        for number, word, style in (
            (len(self.hits), "hit", "green"),
            (len(self.ran), "done", "green"),
            (len(self.running), "running", "blue"),
            (waiting, "waiting", "dim"),
            (len(self.failed), "failed", "bold red"),
            (len(self.skipped), "skipped", "yellow"),
        ):
            if number:
                row += [(f" {number} {word}", style)]
        row.append((f"  {clock(now - self.began)}", "bold"))
        left = self.left() if width >= 50 else None
        if left is not None:
            row.append((f", about {clock(left)} left", ""))
        return row

    def _moving(self, width: int, now: float, room: int) -> list[Row]:
        moving = [*self.transfers.values()]
        rows: list[Row] = []
        for transfer in moving[: room if len(moving) <= room else room - 1]:
            event = transfer.event
            took = now - transfer.since
            speed = (event.done - transfer.first) / took if took > 0.5 else 0.0
            row: Row = [("↓ ", "cyan"), (_ware(str(event.ware), width), "cyan"), ("  ", "")]
            if event.total and width >= 70:
                row += [*_bar(event.done / event.total, 16), (" ", "")]
            row.append((_amount(event.done, event.total), ""))
            if speed and width >= 50:
                row.append((f"  {speed / 1e6:.1f} MB/s", "dim"))
                if event.total:
                    row.append((f"  {clock((event.total - event.done) / speed)} left", "dim"))
            if width >= 100:
                row.append((f"  {event.address}", "dim"))
            rows.append(row)
        if len(moving) > len(rows):
            rows.append([(f"↓ {counted(len(moving) - len(rows), 'more ware')}", "cyan")])
        return rows

    def _steps(self, width: int, room: int, now: float, tails: dict[StepPath, Tail]) -> list[Row]:
        running = sorted(self.running.items(), key=lambda item: item[1].since)
        if not running or not room:
            return []
        shown = running if len(running) <= room else running[: max(1, room - 1)]
        each = min(LAST_LINES, room // len(shown) - 1)
        longest = min(max(len(name(step)) for step, _ in shown), max(12, width // 3))
        rows: list[Row] = []
        for step, one in shown:
            row = self._step(step, one, now, longest)
            tail = tails.get(step)
            last = tail.last(max(1, each)) if tail else []
            if each < 1:
                row += [("  ", ""), (last[-1] if last else "", "dim")]
            rows.append(row)
            if each >= 1:
                rows += [[("    ", ""), (line, "dim")] for line in last]
        if len(shown) < len(running):
            rows.append([(f"  and {len(running) - len(shown)} more running", "blue")])
        return rows[:room]

    def _step(self, step: StepPath, one: Running, now: float, width: int) -> Row:
        text = name(step)
        text = text if len(text) <= width else "…" + text[1 - width :]
        row: Row = [("▸ ", "blue"), (f"{text:<{width}}", "bold"), (f"  {clock(now - one.since):>7}", "")]
        if one.usual is not None and one.usual >= 1:
            row.append((f" of {clock(one.usual)}", "dim"))
        if one.phase and one.phase != "box":
            row.append((f"  {one.phase}", "cyan"))
        return row


def clock(value: float) -> str:
    """A duration on a screen that is drawn again and again: whole seconds do not flicker."""
    return f"{int(value)} s" if value < 60 else seconds(value)


def _bar(part: float, width: int) -> Row:
    full = round(max(0.0, min(1.0, part)) * width)
    return [("━" * full, "green"), ("─" * (width - full), "dim")]


def _ware(text: str, width: int) -> str:
    longest = 24 if width >= 70 else 12
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _amount(done: int, total: int | None) -> str:
    return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
