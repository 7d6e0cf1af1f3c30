"""pt logs: what steps and containers of a job said, and go on saying."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from warpforge.cli.app import Command, Common, pass_common, to_json
from warpforge.cli.plain import plain
from warpforge.cli.pt_jobs import find_job_with, jobs_of
from warpforge.errors import Missing

if TYPE_CHECKING:
    from warpforge.polytope.jobs.journal import Line, Recorded

PAUSE: Final = 0.1  # seconds between two looks


@click.command(cls=Command, name="logs")
@click.argument("ids", nargs=-1, metavar="[JOB] [STEP|CONTAINER|SERVICE]...")
@click.option("--job", "job_id", default="", metavar="JOB", help="Of this job.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@click.option("--lines", "-n", type=click.IntRange(0), default=None, metavar="N", help="Only the last N.")
@click.option("--timestamps", "-t", is_flag=True, help="With the time of each line.")
@pass_common
def logs(
    common: Common, ids: tuple[str, ...], *, job_id: str, follow: bool, lines: int | None, timestamps: bool
) -> None:
    """Show what a job's steps and containers said: all of them, or those that are named.

    Without a job it is the one that runs, or ran last, and has them. An id that a job and a part of one both have means
    the part; --job says otherwise.
    """
    job, parts = _find(common, job_id, ids)
    reader = Reader(job, parts)
    found = sorted(reader.read(), key=lambda line: line.time)
    several = len({id for _, id in reader.sources}) != 1 or (follow and not parts)
    show = _Show(common, several=several, timestamps=timestamps)
    for line in found if lines is None else found[len(found) - min(lines, len(found)) :]:
        show.line(line)
    while follow:
        over = reader.look()
        for line in reader.read():
            show.line(line)
        sys.stdout.flush()
        if over:
            return
        time.sleep(PAUSE)


class Reader:
    """The logs that are meant, each read on from where it was."""

    def __init__(self, job: Recorded, parts: tuple[str, ...]) -> None:
        self._job = job
        self._parts = parts
        self._tails: dict[tuple[str, str], _Tail] = {}
        self.summary = job.summary
        self.sources = _sources(job, parts)

    def look(self) -> bool:
        """See what there is by now; gives whether the job is over."""
        from warpforge.polytope.jobs.journal import load_job

        now = load_job(self._job.path)
        if now is not None:
            self.summary = now.summary
            self.sources = _sources(now, self._parts)
        return now is None or not now.is_running

    def read(self) -> Iterator[Line]:
        """The lines that are new."""
        from warpforge.polytope.jobs.journal import log_name

        for kind, id in self.sources:
            if (kind, id) not in self._tails:
                self._tails[kind, id] = _Tail(f"{self._job.path}/{kind}/{log_name(id)}", id)
            yield from self._tails[kind, id].read()


class _Tail:
    """One log, read as it grows, also past the moment in which it is full and another one begins."""

    def __init__(self, path: str, id: str) -> None:
        self._path = path
        self._id = id
        self._file: BinaryIO | None = None
        self._rest = b""
        self._full = f"{path}.1"

    def read(self) -> Iterator[Line]:
        if self._file is None:
            yield from self._begin()
            return
        yield from self._lines(self._file)
        with suppress(FileNotFoundError):
            if os.stat(self._path).st_ino != os.fstat(self._file.fileno()).st_ino:
                yield from self._lines(self._file)  # what came between the two looks
                self._file.close()
                self._file = open(self._path, "rb")
                yield from self._lines(self._file)

    def _begin(self) -> Iterator[Line]:
        with suppress(FileNotFoundError), open(self._full, "rb") as file:
            yield from self._lines(file)
        with suppress(FileNotFoundError):
            self._file = open(self._path, "rb")
            yield from self._lines(self._file)

    def _lines(self, file: BinaryIO) -> Iterator[Line]:
        from warpforge.polytope.jobs.journal import parse_line

        *whole, self._rest = (self._rest + file.read()).split(b"\n")
        return (parse_line(self._id, line) for line in whole)


class _Show:
    def __init__(self, common: Common, *, several: bool, timestamps: bool) -> None:
        self._json = common.json
        self._several = several
        self._timestamps = timestamps

    def line(self, line: Line) -> None:
        if self._json:
            print(to_json({"logline": {"time": line.time, "source": line.source, "text": line.text}}))
            return
        lead = f"{line.time} " if self._timestamps else ""
        lead += f"{line.source} | " if self._several else ""
        print(plain(lead + line.text))


def _find(common: Common, job_id: str, ids: tuple[str, ...]) -> tuple[Recorded, tuple[str, ...]]:
    from warpforge.polytope.jobs.journal import get_job, list_jobs

    jobs = list_jobs(jobs_of(common))
    if job_id:
        return get_job(jobs_of(common), job_id), ids
    if not jobs:
        raise Missing("missing", "no job was run here: `pt run` starts one")
    if not ids:
        return next((job for job in reversed(jobs) if job.is_running), jobs[-1]), ids
    named = next((job for job in jobs if ids[0] in (job.summary.id, job.summary.uid)), None)
    if named is not None and ids[1:]:
        return named, ids[1:]
    found = find_job_with(common, ids[0])
    if found is not None:
        return found, ids
    if named is not None:
        return named, ()
    there = ", ".join(job.summary.id for job in jobs)
    raise Missing("missing", f"no job here has a step, container or service {ids[0]}: the jobs are {there}")


def _sources(job: Recorded, parts: tuple[str, ...]) -> list[tuple[str, str]]:
    """The logs that are meant: kind and id."""
    summary = job.summary
    if not parts:
        return [("steps", id) for id in summary.steps] + [("containers", id) for id in summary.containers]
    found: list[tuple[str, str]] = []
    for part in parts:
        known = False
        if part in summary.services:
            found += [("containers", id) for id in summary.services[part].containers]
            known = True
        if part in summary.containers:
            found.append(("containers", part))
            known = True
        if part in summary.steps:
            found.append(("steps", part))
            inside = summary.below(part)
            found += [("steps", id) for id in inside if id != part]
            found += [("containers", one.id) for one in summary.containers.values() if one.step in inside]
            known = True
        if not known:
            there = ", ".join(dict.fromkeys((*summary.steps, *summary.containers, *summary.services)))
            raise Missing("missing", f"job {summary.id} has no {part}: there is {there or 'nothing'}", id=part)
    return [*dict.fromkeys(found)]
