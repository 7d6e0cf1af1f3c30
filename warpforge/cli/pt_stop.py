"""pt stop: end a service, a container or a step of a job that runs, or the whole job."""

from __future__ import annotations

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.cli.pt_jobs import get_running, running_jobs
from warpforge.errors import Missing, Unable
from warpforge.polytope.jobs.journal import Recorded, load_job


@click.command(cls=Command, name="stop")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--job", "job_id", default="", metavar="JOB", help="In this job; else in the one that has it.")
@pass_common
def stop(common: Common, ids: tuple[str, ...], job_id: str) -> None:
    """Stop services, containers, steps or jobs, by their ids; without any, the job that runs.

    An id that a job and a part of one both have means the part.

    A job is stopped in order: its containers one after the other, the youngest first.
    """
    if not ids:
        job = get_running(common, job_id)
        _ask(job)
        common.note(f"stopping {job.summary.id}")
    for id in ids:
        job = get_running(common, job_id) if job_id else _find(common, id)
        if _has(job, id):
            stopped = _ask(job, id=id)
            common.note(f"stopped {', '.join(stopped) or id}")
        else:
            _ask(job, **({} if id in (job.summary.id, job.summary.uid) else {"id": id}))
            common.note(f"stopping {id}")


def _ask(job: Recorded, **more: str) -> list[str]:
    """Gives the containers that were stopped; none when all of the job ended by itself meanwhile."""
    from warpforge.polytope.jobs.control import ask

    try:
        stopped: list[str] = ask(job.path, "stop", **more)
    except Unable:  # nobody answers
        now = load_job(job.path)
        if now is not None and now.is_running and not now.summary.has_ended:
            raise
        return []
    return stopped


def _has(job: Recorded, id: str) -> bool:
    summary = job.summary
    return id in summary.services or id in summary.containers or id in summary.steps


def _find(common: Common, id: str) -> Recorded:
    running = running_jobs(common)
    for job in running:
        if _has(job, id):
            return job
    for job in running:
        if id in (job.summary.id, job.summary.uid):
            return job
    there = [name for job in running for name in (job.summary.id, *job.summary.services)]
    raise Missing("missing", f"nothing that runs here is called {id}: there is {', '.join(there) or 'nothing'}", id=id)
