"""The tail of what a step writes: lines are cut from bytes when they come, and made text when somebody looks."""

from __future__ import annotations

from collections import deque
from typing import Final

from warpforge.cli.plain import plain

KEPT: Final = 20  # lines
LONGEST: Final = 1 << 16  # bytes; a longer line is cut there


class Tail:
    """The last lines that a step wrote; out and err keep their own unfinished line."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=KEPT)
        self._open: dict[str, bytes] = {}

    def add(self, stream: str, data: bytes) -> list[bytes]:
        """Take bytes; gives the lines that became whole."""
        *whole, rest = (self._open.get(stream, b"") + data).split(b"\n")
        if len(rest) > LONGEST:
            whole.append(rest)
            rest = b""
        self._open[stream] = rest
        self._lines.extend(whole)
        return whole

    def flush(self) -> list[bytes]:
        """The unfinished lines, as lines."""
        lines = [rest for rest in self._open.values() if rest]
        self._open.clear()
        self._lines.extend(lines)
        return lines

    def last(self, count: int) -> list[str]:
        """The last lines that are not blank, oldest first, an unfinished one too."""
        texts = [text_of(line) for line in (*self._lines, *self._open.values())]
        return [text for text in texts if text.strip()][-count:] if count > 0 else []


def text_of(line: bytes) -> str:
    """A line for the screen."""
    return plain(line.decode("utf-8", "backslashreplace"))
