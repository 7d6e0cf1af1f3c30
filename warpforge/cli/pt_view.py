"""pt attach: a job that runs, before one's eyes, from another terminal than the one that it was started in."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.cli.pt_jobs import get_running
from warpforge.errors import Failed

if TYPE_CHECKING:
    from warpforge.cli.pt_lines import Teller
    from warpforge.polytope.jobs.journal import Line, Recorded
    from warpforge.polytope.jobs.summary import JobSummary

PAUSE: Final = 0.1  # seconds between two looks
EARLIER: Final = 20  # lines of before that are shown


@click.command(cls=Command, name="attach")
@click.argument("job_id", metavar="[JOB]", default="")
@click.option("--no-ui", is_flag=True, help="Lines instead of a picture.")
@click.option("--lines", "-n", type=click.IntRange(0), default=EARLIER, show_default=True, help="So many of before.")
@pass_common
def attach(common: Common, job_id: str, *, no_ui: bool, lines: int) -> None:
    """Look at a job that runs, until it has ended: its steps, services and what they say, as `pt run` shows them.

    Ctrl-C leaves it, and the job runs on: `pt stop` ends it. A job that fails makes this fail, too.
    """
    from warpforge.cli.pt_lines import make_teller
    from warpforge.polytope.jobs.summary import JobSummary

    job = get_running(common, job_id)
    blank = JobSummary(id=job.summary.id, uid=job.summary.uid, created=job.summary.created)
    teller = make_teller(common, blank, live=not no_ui)
    try:
        last = _watch(job, blank, teller, lines)
    except KeyboardInterrupt:
        teller.close()
        common.note(f"{job.summary.id} runs on: `pt attach` comes back to it, `pt stop` ends it")
        return
    finally:
        teller.close()
    if not last.has_ended:
        raise Failed("job-step-failed", f"job {last.id} was killed")
    if last.state == "failed":
        raise Failed("job-step-failed", f"job {last.id} failed: {last.why}")


def _watch(job: Recorded, before: JobSummary, teller: Teller, lines: int) -> JobSummary:
    """Tell of it until it is over; gives what it was in the end."""
    from warpforge.cli.pt_lines import JsonTeller, LiveTeller
    from warpforge.cli.pt_logs import Reader
    from warpforge.polytope.events import JobChanged
    from warpforge.polytope.jobs.summary import differences

    reader = Reader(job, ())
    earlier = deque(sorted(reader.read(), key=lambda line: line.time), lines)
    while True:
        over = reader.look()
        for line in (*earlier, *reader.read()):
            _say(teller, reader.summary, line)
        earlier.clear()
        for event in differences(before, reader.summary):
            if not isinstance(event, JobChanged) or isinstance(teller, JsonTeller):  # Ctrl-C does not stop it from here
                teller.hear(event)
        if isinstance(teller, LiveTeller):
            teller.show(reader.summary)
        before = reader.summary
        sys.stdout.flush()
        if over:
            return before
        time.sleep(PAUSE)


def _say(teller: Teller, summary: JobSummary, line: Line) -> None:
    from warpforge.polytope.events import ContainerSaid, StepSaid

    is_container = line.source in summary.containers
    teller.hear(ContainerSaid(line.source, line.text) if is_container else StepSaid(line.source, "info", line.text))
