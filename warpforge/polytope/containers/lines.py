"""What a box says, as lines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

_LONGEST: Final = 64 << 10  # bytes of a line
MASK: Final = "********"


class Lines:
    """Cuts what comes into lines and hands them on without their ends, and without ``secrets``. Any thread may feed."""

    def __init__(self, on_line: Callable[[str], None], secrets: Iterable[str] = ()) -> None:
        self._on_line = on_line
        self._secrets = sorted({secret for secret in secrets if secret.strip()}, key=len, reverse=True)
        self._begun: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def feed(self, stream: str, data: bytes) -> None:
        """Something was said on one stream."""
        with self._lock:
            *lines, rest = (self._begun.pop(stream, b"") + data).split(b"\n")
            while len(rest) > _LONGEST:
                lines.append(rest[:_LONGEST])
                rest = rest[_LONGEST:]
            if rest:
                self._begun[stream] = rest
            for line in lines:
                self._tell(line)

    def end(self) -> None:
        """What was said without a line end is a line as well."""
        with self._lock:
            for rest in self._begun.values():
                self._tell(rest)
            self._begun.clear()

    def _tell(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        self._on_line(text)
