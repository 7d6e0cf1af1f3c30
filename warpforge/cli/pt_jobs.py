"""Which jobs a command of ``pt`` is about: those of the project that one stands in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from warpforge.cli.app import Common
from warpforge.errors import Missing
from warpforge.workspace.find import INTERNAL

if TYPE_CHECKING:
    from warpforge.polytope.jobs.journal import Recorded


def jobs_of(common: Common) -> str:
    """The directory that holds the jobs of the project that one stands in."""
    from warpforge.polytope.files.library import find_file

    cwd = str(common.settings.cwd)
    found = find_file(cwd)
    return os.path.join(os.path.dirname(found) if found else cwd, INTERNAL, "polytope", "jobs")


def jobs_beside(common: Common, file: str | None) -> str:
    """The directory that holds the jobs of a polytope file, or of the project that one stands in."""
    if file is None:
        return jobs_of(common)
    path = os.path.join(common.settings.cwd, file)
    return os.path.join(path if os.path.isdir(path) else os.path.dirname(path), INTERNAL, "polytope", "jobs")


def running_jobs(common: Common) -> list[Recorded]:
    """The jobs that run now, the newest first. One whose process is only tidying up answers nobody any more."""
    from warpforge.polytope.jobs.journal import list_jobs

    return [job for job in reversed(list_jobs(jobs_of(common))) if job.is_running and not job.summary.has_ended]


def get_running(common: Common, id: str = "") -> Recorded:
    """The job of this id, or the newest that runs. Errors: ``missing``."""
    running = running_jobs(common)
    found = next((job for job in running if not id or id in (job.summary.id, job.summary.uid)), None)
    if found is None:
        there = ", ".join(job.summary.id for job in running)
        what = f"no job {id} runs here" if id else "no job runs here"
        raise Missing(
            "missing", f"{what}: there is {there}" if there else f"{what}: `pt run` starts one", job=id or None
        )
    return found


def find_job_with(common: Common, part: str) -> Recorded | None:
    """The newest job that has a service, a container or a step of this id; one that runs goes before."""
    from warpforge.polytope.jobs.journal import list_jobs

    jobs = [*reversed(list_jobs(jobs_of(common)))]
    for job in sorted(jobs, key=lambda job: not job.is_running):
        summary = job.summary
        if part in summary.services or part in summary.containers or part in summary.steps:
            return job
    return None
