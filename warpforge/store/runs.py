"""The run log: one JSON line for every execution, and beside it what the action said.

``runs/<year>-<month>.jsonl`` holds the lines, ``runs/<year>-<month>/<id>.log`` the output, bounded in size.
A line is one append, so processes do not disturb each other and a torn last line is the worst a crash can do;
it is skipped. An execution has two lines: one when its action begins, short, naming where its output goes meanwhile,
and one with everything when it has ended; one that was killed has only the first. Both bear the id of the
**invocation**, the command that made it run (``invocations``). History, not truth: nothing depends on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from warpforge.fsx.atomic import make_dirs, write_all
from warpforge.fsx.locks import locked_open

from .finding import storing
from .guid import new_guid
from .layout import Layout
from .lines import Growing, append_line, delete_oldest, lines_backwards
from .run_entry import RunEntry, is_about
from .staging import Staging

LOG_LIMIT: Final = 16 << 20  # bytes of output kept of one execution
LOGS_LIMIT: Final = 1 << 30  # bytes of all kept output together
LINES_LIMIT: Final = 256 << 20  # bytes of all lines together
TAIL: Final = 4 << 10  # bytes of the end of an output that are had at once
TAIL_LINES: Final = 10
_CUT: Final = b"\n[warpforge: output truncated here]\n"


class Run:
    """An execution that is going on: write() its output, fill in ``entry``, then finish()."""

    def __init__(self, entry: RunEntry, log_path: str, runs: Runs, limit: int) -> None:
        self.entry: Final = entry
        self.log_path: Final = log_path
        self._runs = runs
        self._room = limit
        self._began = time.monotonic()
        self._last = b""
        self.last_entry = -1  # of a script, the last that was begun
        with storing(f"cannot write the log of run {entry.id}"):
            self._fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def restart(self) -> None:
        """It begins only now: what came before was waiting."""
        self.entry.started = round(time.time(), 3)
        self._began = time.monotonic()

    def announce(self) -> None:
        """Write the line that says it has begun, for whoever looks while it runs. Errors: ``store``."""
        entry = self.entry
        begun = RunEntry(
            begun=self.log_path,
            id=entry.id,
            formula_id=entry.formula_id,
            step=entry.step,
            started=entry.started,
            plot=entry.plot,
            invocation=entry.invocation,
            document=entry.document,
        )
        self._runs.append(begun)

    @property
    def id(self) -> str:
        """The run's id, which is also its RunRecord's guid."""
        return self.entry.id

    def write(self, data: bytes) -> None:
        """Keep output, up to the limit. Errors: ``store``."""
        entry = self.entry
        entry.output_bytes += len(data)
        self._last = (self._last + data)[-TAIL:]
        kept = data[: self._room]
        self._room -= len(kept)
        with storing(f"cannot write the log of run {entry.id}"):
            write_all(self._fd, kept)
        if len(kept) < len(data):
            self.cut()

    def cut(self) -> None:
        """Say that more was said than is kept. Errors: ``store``."""
        if not self.entry.truncated:
            self.entry.truncated = True
            with storing(f"cannot write the log of run {self.entry.id}"):
                write_all(self._fd, _CUT)

    def tail(self) -> str:
        """The last lines that it wrote."""
        lines = self._last.decode("utf-8", "backslashreplace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def finish(self) -> RunEntry:
        """Write the line. Errors: ``store``. A run that is dropped instead leaves nothing."""
        self.entry.duration = round(time.monotonic() - self._began, 6)
        self._close()
        self._runs.finish(self)
        return self.entry

    def drop(self) -> None:
        """Leave no trace; may be called again, also after finish()."""
        self._close()
        with suppress(OSError):
            os.unlink(self.log_path)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Runs:
    """The run log of a store."""

    def __init__(self, layout: Layout, staging: Staging, noted: Callable[[str, str], None]) -> None:
        self._directory = layout.runs
        self._staging = staging
        self._noted = noted  # hears of formula and run, once the line is there

    def begin(self, formula_id: str, step: tuple[str, ...] = (), *, limit: int = LOG_LIMIT) -> Run:
        """Begin an execution, with a fresh id. Errors: ``store``."""
        entry = RunEntry(id=new_guid(), formula_id=formula_id, step=list(step), started=round(time.time(), 3))
        return Run(entry, self._staging.new("log"), self, limit)

    def entries(self) -> Iterator[RunEntry]:
        """All executions that have ended, newest first."""
        return (entry for entry in self._lines() if not entry.begun)

    def open_entries(self) -> Iterator[RunEntry]:
        """Executions that have begun and not ended, newest first: they run, or were killed."""
        ended: set[str] = set()
        for entry in self._lines():
            if not entry.begun:
                ended.add(entry.id)
            elif entry.id not in ended:
                yield entry

    def tail(self) -> Tail:
        """The lines that are written from now on."""
        return Tail(self._directory)

    def find(self, what: str) -> list[RunEntry]:
        """Executions by run id or a prefix of it (6 characters or more), step, formula id or ware, newest first."""
        return [entry for entry in self.entries() if is_about(entry, what)]

    def log_path(self, entry: RunEntry) -> str | None:
        """The file with the output of an execution, if it is still there."""
        path = entry.begun or (os.path.join(self._directory, entry.log) if entry.log else "")
        return path if path and os.path.isfile(path) else None

    def is_running(self, entry: RunEntry) -> bool:
        """Whether an execution that has not ended still can: the process that began it lives."""
        directory = os.path.dirname(entry.begun)
        if not entry.begun or not os.path.isdir(directory):
            return False
        with locked_open(directory, os.O_RDONLY | os.O_DIRECTORY) as fd:
            return fd is None and os.path.isdir(directory)

    def append(self, entry: RunEntry) -> None:
        """Write one line. Errors: ``store``."""
        path = os.path.join(self._directory, f"{month_of(entry.started)}.jsonl")
        with storing(f"cannot write the run log {path}"):
            make_dirs(self._directory, sync=False)
            append_line(path, msgspec.json.encode(entry))

    def finish(self, run: Run) -> None:
        """Give the output its place and write the line. Errors: ``store``."""
        entry = run.entry
        month = month_of(entry.started)
        with storing(f"cannot keep the output of run {entry.id}"):
            if entry.output_bytes:
                make_dirs(os.path.join(self._directory, month), sync=False)
                entry.log = f"{month}/{entry.id}.log"
                os.rename(run.log_path, os.path.join(self._directory, entry.log))
            else:
                run.drop()
        self.append(entry)
        if entry.formula_id:
            self._noted(entry.formula_id, entry.id)

    def prune(self, *, logs: int = LOGS_LIMIT, lines: int = LINES_LIMIT, before: float = 0.0) -> int:
        """Delete the oldest output until what is kept fits, and the oldest months of lines; gives the bytes freed.

        Output last written ``before`` goes too. The newest month of lines always stays. Errors: ``store``.
        """
        with storing("cannot shorten the run log"):
            months = [os.path.join(self._directory, name) for name in self._months()]
            old = [path for path in self._logs() if os.lstat(path).st_mtime < before] if before else []
            freed = delete_oldest(old, -1) + delete_oldest(self._logs(), logs)
            return freed + delete_oldest(months, lines, at_least=1)

    def _logs(self) -> list[str]:
        """Every kept output, oldest first."""
        found: list[tuple[float, str]] = []
        for month in self._months():
            with suppress(FileNotFoundError), os.scandir(os.path.join(self._directory, month[:-6])) as logs:
                found += [(log.stat().st_mtime, log.path) for log in logs]
        return [path for _, path in sorted(found)]

    def _lines(self) -> Iterator[RunEntry]:
        for name in reversed(self._months()):
            yield from _decoded(lines_backwards(os.path.join(self._directory, name)))

    def _months(self) -> list[str]:
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(name for name in os.listdir(self._directory) if name.endswith(".jsonl"))
        return []


class Tail:
    """Reads what others append."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._growing = Growing(self._latest(), from_end=True)

    def read(self) -> Iterator[RunEntry]:
        """The whole lines that came since the last time."""
        path = self._latest()
        if path != self._growing.path:  # a new month has a file of its own
            self._growing = Growing(path)
        return _decoded(self._growing.read())

    def _latest(self) -> str:
        return os.path.join(self._directory, f"{month_of(time.time())}.jsonl")


def month_of(started: float) -> str:
    """``2026-11``, in universal time."""
    return time.strftime("%Y-%m", time.gmtime(started))


def _decoded(lines: Iterable[bytes]) -> Iterator[RunEntry]:
    decode = msgspec.json.Decoder(RunEntry).decode
    for line in lines:
        with suppress(msgspec.MsgspecError):  # torn, or of another version
            yield decode(line)
