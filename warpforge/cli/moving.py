"""Moving wares: several at once, with a bar for each on a terminal, and one line for each that is done."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import click

from warpforge.cli.app import Common, printable, to_json
from warpforge.cli.jsonlines import JsonLines
from warpforge.cli.render import PlainLines, Renderer
from warpforge.errors import Unable, WarpforgeError

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.engine.naming import Names
    from warpforge.engine.transfer import Transfer
    from warpforge.model.atoms import WarehouseAddr, WareId
    from warpforge.store.stay import Stay

JOBS = click.option(
    "--jobs", "-j", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N", help="Wares at once."
)


class Job(NamedTuple):
    """One ware to move; ``do`` gives the outcome and the other end's address."""

    ware: WareId
    do: Callable[[], tuple[str, str]]


class Moving(NamedTuple):
    """What moves wares, and the screen that tells of it."""

    common: Common
    engine: Engine
    names: Names
    transfer: Transfer
    screen: Renderer

    def say(self, ware: WareId, outcome: str, address: str) -> None:
        """One line of result."""
        if self.common.json:
            self.common.result(to_json({"moved": {"ware": str(ware), "outcome": outcome, "address": address}}))
            return
        line = printable(f"{ware}  {outcome}{f'  {address}' if address else ''}")
        self.screen.result(line)

    def push(
        self, wares: Sequence[WareId], goals: Sequence[WarehouseAddr], at_once: int, *, force: bool = False
    ) -> None:
        """Every ware to every mirror. Errors: as ``all``."""
        from warpforge.mirror.protocol import shown

        def job(ware: WareId, goal: WarehouseAddr) -> Job:
            return Job(ware, lambda: (self.transfer.push(ware, goal, force=force), shown(goal)))

        self.all([job(ware, goal) for goal in goals for ware in wares], at_once)

    def all(self, jobs: Sequence[Job], at_once: int) -> None:
        """Do all jobs, some at once, and say what came of each. What fails does not keep the others from being done.

        Errors: the one that failed; ``fetch`` (all-failed) telling of several.
        """
        failed: list[tuple[WareId, WarpforgeError]] = []
        self.screen.count(0, len(jobs))
        for done, (job, outcome) in enumerate(_outcomes(jobs, at_once, self.engine.store.stay), 1):
            self.screen.count(done, len(jobs))
            if isinstance(outcome, WarpforgeError):
                failed.append((job.ware, outcome))
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                self.say(job.ware, *outcome)
        if len(failed) == 1:
            raise failed[0][1]
        if failed:
            raise _several(failed, len(jobs))


@contextmanager
def moving(common: Common) -> Iterator[Moving]:
    """An engine and its transfer, told of on the screen."""
    from warpforge.engine.engine import Engine
    from warpforge.engine.naming import Names
    from warpforge.engine.transfer import Transfer
    from warpforge.workspace.find import find_stack

    settings = common.settings
    reporter: Renderer
    if common.json:
        reporter = JsonLines(common)
    elif sys.stderr.isatty() and not common.quiet:
        from warpforge.cli.bars import Bars

        reporter = Bars(common)
    else:
        reporter = PlainLines(common)
    options = common.options()
    try:
        with Engine(find_stack(settings.cwd, settings.home), reporter, options) as engine, engine.store.use():
            names = Names(engine, settings.cwd)
            transfer = Transfer(engine.store, engine.supply, names, engine.reach, reporter)
            yield Moving(common, engine, names, transfer, reporter)
    finally:
        reporter.close()


def _several(failed: Sequence[tuple[WareId, WarpforgeError]], of: int) -> WarpforgeError:
    """One error for many, with a line for each, and one below it for each mirror."""
    lines = "".join(f"\n  {line}" for ware, error in failed for line in _named(ware, error).splitlines())
    gone = all(error.exit_status() == 3 for _, error in failed)
    reason = "not-found" if gone else "all-failed"
    return Unable("fetch", f"{len(failed)} of {of} could not be moved:{lines}", reason=reason)


def _named(ware: WareId, error: WarpforgeError) -> str:
    return error.message if str(ware) in error.message else f"{ware}: {error.message}"


def _outcomes(
    jobs: Sequence[Job], at_once: int, stay: Stay | None
) -> Iterator[tuple[Job, tuple[str, str] | BaseException]]:
    """Each job with what came of it, as they end. The threads do not outlive an interrupted command.

    Each thread is in the store on its own while it has a job, and whoever waits for them is away.
    """
    from warpforge.store.stay import Away

    waiting: SimpleQueue[Job] = SimpleQueue()
    done: SimpleQueue[tuple[Job, tuple[str, str] | BaseException]] = SimpleQueue()

    def work() -> None:
        while True:
            try:
                job = waiting.get_nowait()
            except Empty:
                return
            if stay is not None:
                stay.come()
            outcome: tuple[str, str] | BaseException
            try:
                outcome = job.do()
            except BaseException as error:
                outcome = error
            if stay is not None:
                stay.go()
            done.put((job, outcome))

    for job in jobs:
        waiting.put(job)
    for _ in range(min(at_once, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    for _ in jobs:
        with Away(stay):
            ended = _wait(done)
        yield ended


def _wait(
    done: SimpleQueue[tuple[Job, tuple[str, str] | BaseException]],
) -> tuple[Job, tuple[str, str] | BaseException]:
    from warpforge.engine.workers import TICK

    while True:
        with suppress(Empty):
            return done.get(timeout=TICK)
