"""Whose turn it is to bring an image: several come side by side, and one that many containers begin with comes once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

AT_ONCE: Final = 3  # as Docker has it; each takes some 60 MiB of memory


class Pulls:
    """Of one job. ``turn`` is for one thread at a time and name."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._room = threading.Semaphore(AT_ONCE)

    @contextmanager
    def turn(self, image: str) -> Iterator[None]:
        """While an image is looked for and brought. Whoever asks for the same one waits, and finds it here then."""
        with self._mutex:
            turn = self._turns.setdefault(image, threading.Lock())
        with turn, self._room:
            yield
