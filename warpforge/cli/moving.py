"""Moving wares: several at once, with a bar for each on a terminal, and one line for each that is done."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from warpforge.cli.app import Common, printable, to_json
from warpforge.cli.render import JsonLines, PlainLines, Renderer, short
from warpforge.engine.events import Event, Notice, WareMoving
from warpforge.errors import Unable, WarpforgeError

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.engine.transfer import Transfer
    from warpforge.model.atoms import WareId


class Job(NamedTuple):
    """One ware to move; ``do`` gives the outcome and the other end's address."""

    ware: WareId
    do: Callable[[], tuple[str, str]]


class Bars(Renderer):
    """For a terminal: a bar for each ware that moves."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(24), DownloadColumn(), TransferSpeedColumn())
        self._bars = Progress(*columns, console=Console(stderr=True, highlight=False), transient=True)
        self._tasks: dict[tuple[WareId, str], Any] = {}
        self._bars.start()

    def show(self, event: Event) -> None:
        if isinstance(event, WareMoving):
            self._move(event)
        elif isinstance(event, Notice):
            self._bars.console.print(printable(f"warn  {event.message}"), markup=False, soft_wrap=True)

    def _move(self, event: WareMoving) -> None:
        key = (event.ware, event.address)
        if key not in self._tasks:
            label = printable(f"{short(str(event.ware))} {event.address}").replace("[", "\\[")
            self._tasks[key] = self._bars.add_task(label, total=event.total)
        self._bars.update(self._tasks[key], completed=event.done)
        if event.done == event.total:
            self._bars.update(self._tasks[key], visible=False)

    def close(self) -> None:
        self._bars.stop()


@contextmanager
def moving(common: Common) -> Iterator[tuple[Engine, Transfer]]:
    """An engine and its transfer, told of on the screen."""
    from warpforge.engine.engine import Engine
    from warpforge.engine.options import Options
    from warpforge.engine.transfer import Transfer
    from warpforge.workspace.find import find_stack

    settings = common.settings
    reporter: Renderer
    if common.json:
        reporter = JsonLines(common)
    elif sys.stderr.isatty() and not common.quiet:
        reporter = Bars(common)
    else:
        reporter = PlainLines(common)
    options = Options(warehouse=settings.warehouse, access=settings.access, max_unpacked=common.max_unpacked)
    try:
        with Engine(find_stack(settings.cwd, settings.home), reporter, options) as engine, engine.store.use():
            yield engine, Transfer(engine.store, engine.supply, engine.lookup, engine.reach, reporter)
    finally:
        reporter.close()


def move_all(common: Common, jobs: Sequence[Job], at_once: int) -> None:
    """Do all jobs, some at once, and say what came of each. What fails does not keep the others from being done.

    Errors: the one that failed; ``fetch`` (all-failed) telling of several.
    """
    failed: list[tuple[WareId, WarpforgeError]] = []
    for job, outcome in _outcomes(jobs, at_once):
        if isinstance(outcome, WarpforgeError):
            failed.append((job.ware, outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            say(common, job.ware, *outcome)
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        lines = "".join(f"\n  {ware}: {error.message}" for ware, error in failed)
        gone = all(error.exit_status() == 3 for _, error in failed)
        reason = "not-found" if gone else "all-failed"
        raise Unable("fetch", f"{len(failed)} of {len(jobs)} could not be moved:{lines}", reason=reason)


def _outcomes(jobs: Sequence[Job], at_once: int) -> Iterator[tuple[Job, tuple[str, str] | BaseException]]:
    """Each job with what came of it, as they end. The threads do not outlive an interrupted command."""
    waiting: SimpleQueue[Job] = SimpleQueue()
    done: SimpleQueue[tuple[Job, tuple[str, str] | BaseException]] = SimpleQueue()

    def work() -> None:
        while True:
            try:
                job = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((job, job.do()))
            except BaseException as error:
                done.put((job, error))

    for job in jobs:
        waiting.put(job)
    for _ in range(min(at_once, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    for _ in jobs:
        yield done.get()


def say(common: Common, ware: WareId, outcome: str, address: str) -> None:
    """One line of result."""
    if common.json:
        common.result(to_json({"moved": {"ware": str(ware), "outcome": outcome, "address": address}}))
    else:
        common.result(printable(f"{ware}  {outcome}{f'  {address}' if address else ''}"))
