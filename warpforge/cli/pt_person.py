"""Whoever sits before the terminal: asked by the code of steps, and told what is no line of a log."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from warpforge.cli.app import printable

if TYPE_CHECKING:
    from warpforge.cli.pt_lines import LineTeller


class Terminal:
    """Questions come one after the other; the picture is away while one is asked."""

    def __init__(self, teller: Callable[[], LineTeller]) -> None:
        self._teller = teller
        self._lock = threading.Lock()

    def ask(self, step: str, kind: str, prompt: str) -> str | None:
        """A line, without its end; None at the end of the input."""
        with self._lock, self._teller().paused():
            sys.stderr.write(printable(prompt))
            sys.stderr.flush()
            line = sys.stdin.readline()
        return line.rstrip("\n") if line else None

    def say(self, step: str, text: str) -> None:
        """Text as it comes, on stdout."""
        with self._lock:
            self._teller().close()
            sys.stdout.write(printable(text))
            sys.stdout.flush()
