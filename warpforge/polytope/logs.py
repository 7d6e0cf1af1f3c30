"""The log of a container: its lines with their times in a file of the job, bounded, without secrets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

MOST_BYTES: Final = 16 << 20  # of a file; the one before it is kept as well
_LONGEST_LINE: Final = 64 << 10
MASK: Final = "********"


class Masks:
    """Texts that are shown to nobody. One set for a job; may be added to while it runs."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Show this to nobody from now on, nor any line of it."""
        parts = {secret, *secret.splitlines()} - {""}
        known = {*self._secrets, *(part for part in parts if part.strip())}
        self._secrets = sorted(known, key=len, reverse=True)

    def cover(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text


class Log:
    """One file, and whoever listens. Made when something is first said. May be used from many threads.

    A line is ``TIME STREAM TEXT``: UTC with milliseconds; out, err, or pt for what we say ourselves.
    """

    def __init__(self, path: Path, masks: Masks, on_line: Callable[[str, str], None]) -> None:
        self.path: Final = path
        self._masks = masks
        self._on_line = on_line
        self._begun: dict[str, bytes] = {}
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    def feed(self, stream: str, data: bytes) -> None:
        """Something was said; whole lines of it are written."""
        with self._lock:
            *lines, rest = (self._begun.pop(stream, b"") + data).split(b"\n")
            while len(rest) > _LONGEST_LINE:
                lines.append(rest[:_LONGEST_LINE])
                rest = rest[_LONGEST_LINE:]
            if rest:
                self._begun[stream] = rest
            for line in lines:
                self._write(stream, line)

    def say(self, text: str) -> None:
        """A line of our own."""
        with self._lock:
            self._write("pt", text.encode())

    def end(self) -> None:
        """What was said without a line end is a line as well."""
        with self._lock:
            for stream, rest in [*self._begun.items()]:
                self._write(stream, rest)
            self._begun.clear()
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, stream: str, line: bytes) -> None:
        text = self._masks.cover(line.decode(errors="replace").rstrip("\r"))
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab", buffering=0)
        self._file.write(f"{now} {stream} {text}\n".encode())
        if self._file.tell() > MOST_BYTES:
            self._file.close()
            os.replace(self.path, f"{self.path}.1")
            self._file = None
        self._on_line(stream, text)
