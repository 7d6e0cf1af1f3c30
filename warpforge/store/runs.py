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
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from warpforge.fsx.atomic import make_dirs, write_all
from warpforge.fsx.locks import locked_open

from .finding import storing
from .guid import new_guid
from .layout import Layout
from .staging import Staging

NO_FORMULA: Final = msgspec.Raw()
LOG_LIMIT: Final = 16 << 20  # bytes of output kept of one execution
FORMULA_LIMIT: Final = 1 << 16  # bytes of a formula's JSON that a line may hold; a larger one is left out
LOGS_LIMIT: Final = 1 << 30  # bytes of all kept output together
LINES_LIMIT: Final = 256 << 20  # bytes of all lines together
TAIL: Final = 4 << 10  # bytes of the end of an output that are had at once
TAIL_LINES: Final = 10
_CUT: Final = b"\n[warpforge: output truncated here]\n"
_READ: Final = 1 << 20


class RunEntry(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=False):
    """One execution, with its provenance. Times in seconds; ids and inputs as they are spelled in documents.

    ``begun``: only in the line of one that has not ended: the file that its output goes to meanwhile.
    ``why``: reasons why it was not hermetic or is not memoised. ``error``: the code when it failed.
    ``log`` is relative to the run log's directory; ``output_bytes`` counts also what was not kept.
    ``document``: the file that it was run from. ``origins``: by port, what the plot says is there, a pipe with the
    whole path of its step (``pipe:outer/inner:label``). ``formula``: its representation, empty when it is too large.
    ``limits``: what was asked for, in seconds, bytes or numbers, and what kept it (``"64 by cgroup v1"``).
    ``secrets``: names of those that it was given; then there is no formula id, and the outputs are for nobody else.
    ``phases``: name, begin after ``started`` (what came before it is negative), and how long.
    """

    begun: str = ""
    id: str = ""
    formula_id: str = ""
    step: list[str] = []
    started: float = 0.0
    duration: float = 0.0
    exit_code: int | None = None
    error: str = ""
    sandbox: str = ""
    limits: dict[str, str] = {}
    hermetic: bool = True
    memoised: bool = False
    why: list[str] = []
    plot: str = ""
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}
    log: str = ""
    output_bytes: int = 0
    truncated: bool = False
    invocation: str = ""
    document: str = ""
    origins: dict[str, str] = {}
    phases: list[tuple[str, float, float]] = []
    formula: msgspec.Raw = NO_FORMULA
    secrets: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether it ended without results, or has not ended at all."""
        return bool(self.begun or self.error) or self.exit_code != 0


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
            freed = _delete_oldest(old, -1) + _delete_oldest(self._logs(), logs)
            return freed + _delete_oldest(months, lines, at_least=1)

    def _logs(self) -> list[str]:
        """Every kept output, oldest first."""
        found: list[tuple[float, str]] = []
        for month in self._months():
            with suppress(FileNotFoundError), os.scandir(os.path.join(self._directory, month[:-6])) as logs:
                found += [(log.stat().st_mtime, log.path) for log in logs]
        return [path for _, path in sorted(found)]

    def _lines(self) -> Iterator[RunEntry]:
        for name in reversed(self._months()):
            yield from _read_backwards(os.path.join(self._directory, name))

    def _months(self) -> list[str]:
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(name for name in os.listdir(self._directory) if name.endswith(".jsonl"))
        return []


class Tail:
    """Reads what others append."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._rest = b""
        self._path = ""
        self._at = 0
        self._turn()
        with suppress(OSError):
            self._at = os.path.getsize(self._path)

    def read(self) -> Iterator[RunEntry]:
        """The whole lines that came since the last time."""
        self._turn()
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        decode = msgspec.json.Decoder(RunEntry).decode
        for line in lines:
            with suppress(msgspec.MsgspecError):
                yield decode(line)

    def _turn(self) -> None:
        """A new month has a file of its own."""
        path = os.path.join(self._directory, f"{month_of(time.time())}.jsonl")
        if path != self._path:
            self._path, self._at, self._rest = path, 0, b""


def month_of(started: float) -> str:
    """``2026-11``, in universal time."""
    return time.strftime("%Y-%m", time.gmtime(started))


def _delete_oldest(paths: list[str], limit: int, *, at_least: int = 0) -> int:
    """Delete files, given oldest first, until the others fit; ``at_least`` so many stay. Raises OSError."""
    sizes = {path: os.lstat(path).st_size for path in paths}
    left, freed = sum(sizes.values()), 0
    for path in paths[: len(paths) - at_least]:
        if left - freed <= limit:
            break
        with suppress(FileNotFoundError):
            os.unlink(path)
        freed += sizes[path]
    return freed


def append_line(path: str, line: bytes) -> None:
    """Append one line in one write; when the last one was torn, begin on a new line. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        write_all(fd, (b"\n" if torn else b"") + line + b"\n")
    finally:
        os.close(fd)


def is_about(entry: RunEntry, what: str) -> bool:
    """Whether a person who says ``what`` may mean this execution."""
    return (
        what in (entry.id, entry.formula_id, "/".join(entry.step), *entry.step[-1:])
        or (len(what) >= 6 and entry.id.startswith(what))
        or any(what in (spelled, spelled.removeprefix("ware:")) for spelled in entry.inputs.values())
        or any(what in (spelled, spelled.removeprefix("ware:")) for spelled in entry.outputs.values())
    )


def _read_backwards(path: str) -> Iterator[RunEntry]:
    decode = msgspec.json.Decoder(RunEntry).decode
    for line in _lines_backwards(path):
        with suppress(msgspec.MsgspecError):  # torn, or of another version
            yield decode(line)


def _lines_backwards(path: str) -> Iterator[bytes]:
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return
    with file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position:
            step = min(_READ, position)
            position = file.seek(position - step)
            lines = (file.read(step) + rest).split(b"\n")
            rest = lines[0]
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest
