"""pt serve: triggers start their templates, until Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.cli.conduct import conducted
from warpforge.errors import WarpforgeError

if TYPE_CHECKING:
    from warpforge.cli.pt_session import Session
    from warpforge.polytope.calls.expand import Call
    from warpforge.polytope.jobs.job import Job
    from warpforge.polytope.nouns import Trigger


class WallClock:
    """The real one; ``over`` ends it."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def now(self) -> datetime:
        return datetime.now()

    def wait(self, seconds: float) -> bool:
        return self.over.wait(seconds)


@click.command(cls=Command, name="serve")
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@click.option("--once", is_flag=True, help="Look once, and end with what that begins.")
@conducted
@pass_common
def serve(common: Common, file: str | None, *, once: bool) -> None:
    """Watch schedules and the repository, and start the templates of triggers.

    What happened is remembered, so that nothing is started twice; schedules that came while nobody watched are
    reported, not made up for. Ctrl-C stops what runs.
    """
    from warpforge.cli.pt_session import Session
    from warpforge.polytope.triggers.watching import Watching, describe

    with Session(common, file) as session:
        jobs = _Jobs(session)
        clock = WallClock()
        watching = Watching(
            session.library, session.evaluator, session.state, clock, jobs.begin, lambda what: _tell(common, what)
        )
        for warning in watching.warnings:
            common.note(f"warn  {warning}")
        for line in describe(watching.triggers):
            common.note(f"watch {line}")
        try:
            if once:
                watching.look()
            else:
                watching.run()
            jobs.wait()
        except BaseException:
            jobs.stop()
            raise


class _Jobs:
    """The jobs that triggers began, each in a thread of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._threads: list[threading.Thread] = []
        self._jobs: list[Job] = []

    def begin(self, trigger: Trigger, call: Call) -> str:
        from warpforge.cli.pt_lines import make_teller

        session = self._session
        job = session.make_job(
            trigger.id, call.reference, lambda summary: [make_teller(session.common, summary, live=False).hear], None
        )
        steps = session.plan(job, [[call]])
        thread = threading.Thread(target=self._run, args=(job, steps), name=f"job {job.summary.id}", daemon=True)
        self._jobs.append(job)
        self._threads.append(thread)
        thread.start()
        return job.summary.id

    def _run(self, job: Job, steps: Any) -> None:
        from warpforge.cli.pt_run import answering

        try:
            with answering(self._session, job, port=None):
                state, why = job.run(steps), job.summary.why
        except (WarpforgeError, OSError) as error:  # the disk is full, or there are no descriptors left
            state, why = "failed", str(error)
        _tell(self._session.common, {"what": "ended", "job": job.summary.id, "state": state, "why": why})
        job.parts.journal.close()
        self._jobs.remove(job)

    def wait(self) -> None:
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.2)  # with a bound: a signal is seen only between two waits

    def stop(self) -> None:
        for job in [*self._jobs]:
            job.request_stop()
        self.wait()


def _tell(common: Common, what: Mapping[str, Any]) -> None:
    if common.json:
        common.result(to_json({"trigger": dict(what)}))
        return
    match what:
        case {"what": "begun", "trigger": trigger, "job": job, "event": event}:
            name = event.get("name") or event.get("time")
            common.note(f"begin {trigger}  {event['type']} {name}  job {job}")
        case {"what": "skipped", "trigger": trigger, "event": event}:
            common.note(f"skip  {trigger}  {event['type']}: its condition is not true")
        case {"what": "missed", "trigger": trigger, "schedule": schedule, "times": times, "last": last}:
            common.note(f"miss  {trigger}  {schedule}  {times} times, the last at {last}: nobody watched")
        case {"what": "ended", "job": job, "state": state, "why": why}:
            common.note(f"end   {job}  {state}" + (f"  {why}" if why else ""))
        case {"what": "failed", "trigger": trigger, "why": why}:
            common.note(f"FAIL  {trigger}  {why}")
        case {"why": why}:
            common.note(printable(f"warn  {why}"))
