"""The run log: one JSON line for every execution, and beside it what the action said.

``runs/<year>-<month>.jsonl`` holds the lines, ``runs/<year>-<month>/<id>.log`` the output, bounded in size.
A line is one append, so processes do not disturb each other and a torn last line is the worst a crash can do;
it is skipped. An execution that was killed has no line. History, not truth: nothing depends on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from warpforge.fsx.atomic import make_dirs, write_all

from .finding import storing
from .layout import Layout
from .staging import Staging

LOG_LIMIT: Final = 16 << 20  # bytes of output kept of one execution
_CUT: Final = b"\n[warpforge: output truncated here]\n"
_READ: Final = 1 << 20


class RunEntry(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=False):
    """One execution, with its provenance. Times in seconds; ids and inputs as they are spelled in documents.

    ``why``: reasons why it was not hermetic or is not memoised. ``error``: the code when it failed.
    ``log`` is relative to the run log's directory; ``output_bytes`` counts also what was not kept.
    """

    id: str
    formula_id: str
    step: list[str]
    started: float
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


class Run:
    """An execution that is going on: write() its output, fill in ``entry``, then finish()."""

    def __init__(self, entry: RunEntry, log_path: str, append: Callable[[Run], None], limit: int) -> None:
        self.entry: Final = entry
        self.log_path: Final = log_path
        self._append = append
        self._room = limit
        self._began = time.monotonic()
        with storing(f"cannot write the log of run {entry.id}"):
            self._fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)

    @property
    def id(self) -> str:
        """The run's id, which is also its RunRecord's guid."""
        return self.entry.id

    def write(self, data: bytes) -> None:
        """Keep output, up to the limit. Errors: ``store``."""
        entry = self.entry
        entry.output_bytes += len(data)
        kept = data[: self._room]
        self._room -= len(kept)
        with storing(f"cannot write the log of run {entry.id}"):
            write_all(self._fd, kept)
            if len(kept) < len(data) and not entry.truncated:
                entry.truncated = True
                write_all(self._fd, _CUT)

    def finish(self) -> RunEntry:
        """Write the line. Errors: ``store``. A run that is dropped instead leaves nothing."""
        self.entry.duration = round(time.monotonic() - self._began, 6)
        self._close()
        self._append(self)
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
        return Run(entry, self._staging.new("log"), self._finish, limit)

    def entries(self) -> Iterator[RunEntry]:
        """All executions, newest first."""
        for name in reversed(self._months()):
            yield from _read_backwards(os.path.join(self._directory, name))

    def find(self, what: str) -> list[RunEntry]:
        """Executions by run id or a prefix of it (6 characters or more), step, formula id or ware, newest first."""
        return [entry for entry in self.entries() if is_about(entry, what)]

    def log_path(self, entry: RunEntry) -> str | None:
        """The file with the output of an execution, if it is still there."""
        path = os.path.join(self._directory, entry.log) if entry.log else ""
        return path if path and os.path.isfile(path) else None

    def _months(self) -> list[str]:
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(name for name in os.listdir(self._directory) if name.endswith(".jsonl"))
        return []

    def _finish(self, run: Run) -> None:
        entry = run.entry
        month = time.strftime("%Y-%m", time.gmtime(entry.started))
        path = os.path.join(self._directory, f"{month}.jsonl")
        with storing(f"cannot write the run log {path}"):
            make_dirs(self._directory, sync=False)
            if entry.output_bytes:
                make_dirs(os.path.join(self._directory, month), sync=False)
                entry.log = f"{month}/{entry.id}.log"
                os.rename(run.log_path, os.path.join(self._directory, entry.log))
            else:
                run.drop()
            append_line(path, msgspec.json.encode(entry))
        if entry.formula_id:
            self._noted(entry.formula_id, entry.id)


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


def new_guid() -> str:
    """A random UUID (version 4), without importing a module for it."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


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
