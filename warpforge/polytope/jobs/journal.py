"""The directory of a job: what it is now, and everything that was said, for those who look from elsewhere.

    jobs/ID/job.json                 the summary, replaced whole when it changes
    jobs/ID/steps/STEP.log           what a step's code said
    jobs/ID/containers/ID.log        what a container wrote
    jobs/ID/lock                     held as long as the job runs: whoever can take it knows that the job is over
    jobs/ID/socket                   where the process that runs it answers (control.py)

A log is lines, each behind its time; a full one becomes ``.log.1``, and what was there before goes. The newest
``KEPT`` ended jobs are kept.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from warpforge.errors import Missing, store_error
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.fsx.locks import Busy, Lock
from warpforge.fsx.remove import remove_tree
from warpforge.polytope.jobs.summary import JobSummary

KEPT: Final = 20
FULL: Final = 16 << 20  # bytes of a log
TAIL: Final = 10  # lines of a log that an error shows


def log_name(id: str) -> str:
    """A file name for any id."""
    return quote(id, safe="")[:200] + ".log"


class Journal:
    """The directory of the one job that this process runs. Any thread may write."""

    def __init__(self, jobs: str, name: str) -> None:
        """Make the directory, under the first id that is free: ``name``, ``name-2``, ... Errors: ``store``."""
        self._mutex = threading.Lock()
        self._logs: dict[str, _Log] = {}
        try:
            make_dirs(jobs, sync=False)
            with Lock(f"{jobs}/lock"):
                _prune(jobs)
                self.id, self.path = _make(jobs, name)
                self._lock = Lock(f"{self.path}/lock", timeout=0)
                self._lock.acquire()
        except OSError as error:
            raise store_error(error, f"the job's directory in {jobs}") from error

    def save(self, summary: JobSummary) -> None:
        """What the job is now. Errors: ``store``."""
        try:
            write_atomic(f"{self.path}/job.json", msgspec.json.encode(summary) + b"\n", 0o600, sync=False)
        except OSError as error:
            raise store_error(error, f"job {self.id}") from error

    def say(self, kind: str, id: str, line: str, now: float) -> None:
        """A line of the log of one of the ``steps`` or ``containers``. A full disk loses lines, not the job; so does
        the end of the job, after which the directory may be removed, and its name be another's."""
        with self._mutex, suppress(OSError):
            if not self._lock.held:
                return
            path = f"{self.path}/{kind}/{log_name(id)}"
            if path not in self._logs:
                self._logs[path] = _Log(path)
            self._logs[path].write(f"{_stamp(now)} {line}\n".encode("utf-8", "surrogateescape"))

    def tail(self, kind: str, id: str) -> str:
        """The last lines of a log."""
        lines = read_log(f"{self.path}/{kind}/{log_name(id)}", id)
        return "\n".join(line.text for line in deque(lines, TAIL))

    def close(self) -> None:
        """The job is over. May be called again."""
        with self._mutex:
            if not self._lock.held:
                return
            for log in self._logs.values():
                log.close()
            self._logs.clear()
            with suppress(OSError):
                os.unlink(f"{self.path}/socket")
            self._lock.release()


class _Log:
    def __init__(self, path: str) -> None:
        make_dirs(os.path.dirname(path), sync=False)
        self._path = path
        self._file = open(path, "ab", buffering=0)

    def write(self, line: bytes) -> None:
        if self._file.tell() > FULL:
            self._file.close()
            os.rename(self._path, f"{self._path}.1")
            self._file = open(self._path, "ab", buffering=0)
        self._file.write(line)

    def close(self) -> None:
        self._file.close()


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _make(jobs: str, name: str) -> tuple[str, str]:
    number = 1
    while True:
        id = name if number == 1 else f"{name}-{number}"
        path = f"{jobs}/{quote(id, safe='')}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            number += 1
        else:
            return id, path


def _prune(jobs: str) -> None:
    ended = sorted((job for job in list_jobs(jobs) if not job.is_running), key=lambda job: job.summary.created)
    for job in ended[:-KEPT]:
        with suppress(OSError):
            remove_tree_at(job.path)


def remove_tree_at(path: str) -> None:
    """Remove a directory by its path."""
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(parent, os.path.basename(path), missing_ok=True)
    finally:
        os.close(parent)


# looking at jobs from elsewhere


class Recorded(NamedTuple):
    """A job as its directory has it. One whose process was killed is neither running nor ended."""

    path: str
    summary: JobSummary
    is_running: bool

    @property
    def was_killed(self) -> bool:
        return not self.is_running and not self.summary.has_ended


def list_jobs(jobs: str) -> list[Recorded]:
    """All jobs of a directory, oldest first."""
    with suppress(FileNotFoundError):
        found = (load_job(f"{jobs}/{name}") for name in os.listdir(jobs))
        return sorted((job for job in found if job is not None), key=lambda job: job.summary.created)
    return []


def load_job(path: str) -> Recorded | None:
    """One job, if there is one."""
    summary = _load_summary(path)
    if summary is None:
        return None
    is_running = _is_held(f"{path}/lock")
    if not is_running and not summary.has_ended:
        summary = _load_summary(path) or summary  # it may have ended between the two looks
    return Recorded(path, summary, is_running)


def _load_summary(path: str) -> JobSummary | None:
    try:
        with open(f"{path}/job.json", "rb") as file:
            return msgspec.json.decode(file.read(), type=JobSummary)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_held(path: str) -> bool:
    lock = Lock(path, timeout=0, shared=True)
    try:
        lock.acquire()
    except Busy:
        return True
    except OSError:
        return False
    lock.release()
    return False


def get_job(jobs: str, id: str) -> Recorded:
    """A job by its id. Errors: ``missing``, naming those that are there."""
    for job in list_jobs(jobs):
        if id in (job.summary.id, job.summary.uid):
            return job
    there = ", ".join(job.summary.id for job in list_jobs(jobs)) or "none"
    raise Missing("missing", f"there is no job {id}: there is {there}", job=id)


class Line(NamedTuple):
    """A line of a log: when it was said (as written), by what, and the text."""

    time: str
    source: str
    text: str


def parse_line(source: str, line: bytes) -> Line:
    time, _, text = line.decode("utf-8", "surrogateescape").rstrip("\n").partition(" ")
    return Line(time, source, text)


def read_log(path: str, source: str) -> Iterator[Line]:
    """The lines of one log, the part that became full first."""
    for part in (f"{path}.1", path):
        with suppress(FileNotFoundError), open(part, "rb") as file:
            for line in file:
                yield parse_line(source, line)
