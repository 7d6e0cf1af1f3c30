"""Seats: a person, or a pipe, at the box.

A **Terminal** is a pseudo-terminal of its own, so nothing that happens in the box can reach the caller's: what is
typed goes in, what is said comes out, and so does the size of the window. Keys such as Ctrl-C are not for us; they go
inside, where the shell's job control has them. **Stdin** hands on what the caller's standard input says, by a pipe,
so that the box never holds the caller's own file.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Final

_CHUNK: Final = 1 << 16


class Stdin:
    """What ``fd`` says becomes the box's stdin."""

    is_terminal = False
    our_fd = -1

    def __init__(self, fd: int) -> None:
        self._source = fd
        self.box_fd, self._sink = os.pipe()

    def begin(self) -> None:
        """As ``Seat.begin``."""
        os.close(self.box_fd)
        self.box_fd = -1
        threading.Thread(target=_copy, args=(self._source, self._sink), daemon=True).start()


class Terminal:
    """A terminal for the box, joined to the caller's, which is raw meanwhile: ``with Terminal(0, 1) as seat:``."""

    is_terminal = True

    def __init__(self, stdin: int, stdout: int) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self.our_fd, self.box_fd = os.openpty()
        self._before: list[Any] = []
        self._handler: Any = None

    def begin(self) -> None:
        """As ``Seat.begin``."""
        os.close(self.box_fd)
        self.box_fd = -1
        threading.Thread(target=_copy, args=(self._stdin, os.dup(self.our_fd)), daemon=True).start()

    def __enter__(self) -> Terminal:
        import termios
        import tty

        self._before = termios.tcgetattr(self._stdin)
        # the box's terminal behaves as the caller's does now
        termios.tcsetattr(self.box_fd, termios.TCSANOW, self._before)
        self._resize()
        self._handler = signal.signal(signal.SIGWINCH, self._resize)
        tty.setraw(self._stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import termios

        signal.signal(signal.SIGWINCH, self._handler or signal.SIG_DFL)
        termios.tcsetattr(self._stdin, termios.TCSADRAIN, self._before)
        for fd in (self.our_fd, self.box_fd):
            if fd >= 0:
                os.close(fd)

    def _resize(self, number: int = 0, frame: FrameType | None = None) -> None:
        import fcntl
        import termios

        size = fcntl.ioctl(self._stdout, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(self.our_fd, termios.TIOCSWINSZ, size)


def _copy(source: int, sink: int) -> None:
    """Hand on until one end is closed; closes the sink, which is the end for whoever reads there."""
    try:
        while data := os.read(source, _CHUNK):
            while data:
                data = data[os.write(sink, data) :]
    except OSError:
        pass  # the box has ended, or the caller has hung up
    finally:
        os.close(sink)
