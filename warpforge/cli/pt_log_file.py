"""``pt run --log-file``: everything that a job tells, in a file as well, as lines with their times."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from warpforge.cli.app import Common, printable
from warpforge.cli.pt_lines import LineTeller
from warpforge.errors import Unable


class LogFile(LineTeller):
    """Appends to a file. A full disk loses lines, not the job. Errors of making it: ``io``."""

    def __init__(self, common: Common, path: Path) -> None:
        super().__init__(common)
        try:
            self._file = open(path, "a", encoding="utf-8", errors="backslashreplace", buffering=1)
        except OSError as error:
            raise Unable("io", f"--log-file {path}: {error.strerror}", cause=error, path=path) from error

    def said(self, id: str, level: str, text: str) -> None:
        self.line(f"{id} | {level}: {text}" if level else f"{id} | {text}")

    def line(self, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with suppress(OSError):
            self._file.write(f"{now} {printable(text)}\n")

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()
