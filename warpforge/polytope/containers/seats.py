"""What a container's command reads from when nobody sits at it: a terminal of its own, a pipe that says nothing."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import Final

_ROWS, _COLUMNS = 24, 120


class Console:
    """A terminal that nobody sits at."""

    is_terminal: Final = True

    def __init__(self) -> None:
        self.our_fd, self.box_fd = os.openpty()
        fcntl.ioctl(self.box_fd, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))

    def begin(self) -> None:
        """As ``Seat.begin``."""
        os.close(self.box_fd)
        self.box_fd = -1

    def close(self) -> None:
        """It has ended."""
        for fd in (self.our_fd, self.box_fd):
            if fd >= 0:
                os.close(fd)


class Silence:
    """A stdin that stays open and says nothing."""

    is_terminal: Final = False
    our_fd: Final = -1

    def __init__(self) -> None:
        self.box_fd, self._sink = os.pipe()

    def begin(self) -> None:
        """As ``Seat.begin``."""
        os.close(self.box_fd)
        self.box_fd = -1

    def close(self) -> None:
        """It has ended."""
        for fd in (self.box_fd, self._sink):
            if fd >= 0:
                os.close(fd)


def take_seat(*, tty: bool, has_stdin: bool) -> Console | Silence | None:
    """The seat of a container; None: its stdin is closed."""
    return Console() if tty else Silence() if has_stdin else None
