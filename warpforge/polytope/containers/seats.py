"""What a container's command reads from: a terminal that a person or nobody sits at, a pipe that says nothing."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

from warpforge.sandbox.protocol import Seat

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


class Sitter(Protocol):
    """A person who sits at a container, at each of its starts anew."""

    def sit(self) -> AbstractContextManager[Seat]:
        """A seat that is a terminal, as long as the block lasts. Any thread."""

    def see(self, data: bytes) -> None:
        """What the container wrote."""


@contextmanager
def taken_seat(*, tty: bool, has_stdin: bool, sitter: Sitter | None) -> Iterator[Seat | None]:
    """The seat of a container for one of its starts; None: its stdin is closed."""
    if sitter is not None:
        with sitter.sit() as seat:
            yield seat
        return
    own = Console() if tty else Silence() if has_stdin else None
    try:
        yield own
    finally:
        if own is not None:
            own.close()
