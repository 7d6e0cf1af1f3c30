"""A terminal for one command: what it writes to a pty, seen as an emulator shows it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyte

from support.world import WARPFORGE, World

SECONDS = 90


class Terminal:
    """``warpforge ARGS``, or another program's, on a screen of so many columns and rows. Everything else goes through
    ``screen``."""

    def __init__(
        self,
        world: World,
        *args: str,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        program: Path = WARPFORGE,
    ) -> None:
        self.screen: Any = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream: Any = pyte.ByteStream(self.screen)
        self.raw = b""
        self._fd, slave = pty.openpty()
        self._size(columns, rows)
        self._process = subprocess.Popen(
            [str(program), *args],
            cwd=world.root,
            env=world.environment({"TERM": "xterm-256color", **(env or {})}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(slave)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as when somebody pulls at the window."""
        self._size(columns, rows)
        self.screen.resize(rows, columns)
        os.killpg(self._process.pid, signal.SIGWINCH)

    def keys(self, data: bytes) -> None:
        """What a person types."""
        os.write(self._fd, data)

    def until(self, wanted: Callable[[], bool]) -> None:
        """Read until the screen is as wanted."""
        deadline = time.monotonic() + SECONDS
        while not wanted():
            assert time.monotonic() < deadline, f"it never came:\n{self}"
            assert self._read() or wanted(), f"it has ended:\n{self}"

    def end(self) -> int:
        """Read until the command has ended; gives its exit status."""
        while self._read():
            pass
        os.close(self._fd)
        return self._process.wait(SECONDS)

    def _read(self) -> bool:
        if select.select([self._fd], [], [], SECONDS)[0]:
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:
                return False
            self.raw += data
            self._stream.feed(data)
            return bool(data)
        raise AssertionError(f"it says nothing any more:\n{self}")

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def all_lines(self) -> list[str]:
        """What scrolled off the screen, and what is on it, without blank lines at the end."""
        gone = ["".join(line[x].data for x in range(self.screen.columns)).rstrip() for line in self.screen.history.top]
        return [line for line in [*gone, *self.lines] if line]

    def __str__(self) -> str:
        return "\n".join(self.lines)
