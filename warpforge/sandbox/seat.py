"""Seats: a person, or a pipe, at the box.

A **Terminal** is a pseudo-terminal of its own, so nothing that happens in the box can reach the caller's: what is
typed goes in, what is said comes out, and so does the size of the window. Keys such as Ctrl-C are not for us; they go
inside, where the shell's job control has them. **Stdin** hands on what the caller's standard input says, by a pipe,
so that the box never holds the caller's own file.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final

from warpforge.sandbox.protocol import Cancel

DETACH: Final = b"\x10\x11"  # Ctrl-P Ctrl-Q, as others have it
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
    """A terminal for the box, joined to the caller's, which is raw meanwhile: ``with Terminal(0, 1) as seat:``.

    ``on_detach``: whom to tell that the person typed the keys that give the terminal back (``DETACH``, which the box
    sees nothing of but the first one); without it they are keys like others.
    """

    is_terminal = True

    def __init__(self, stdin: int, stdout: int, on_detach: Callable[[], None] | None = None) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._on_detach = on_detach
        self.our_fd, self.box_fd = os.openpty()
        self._before: list[Any] | None = None  # how the caller's terminal was, while it is raw
        self._left = Cancel()
        self._lock = threading.RLock()  # a signal's handler may come in between

    def begin(self) -> None:
        """As ``Seat.begin``."""
        os.close(self.box_fd)
        self.box_fd = -1
        threading.Thread(target=self._listen, args=(os.dup(self.our_fd),), daemon=True).start()

    def __enter__(self) -> Terminal:
        import termios
        import tty

        self._before = termios.tcgetattr(self._stdin)
        # the box's terminal behaves as the caller's does now
        termios.tcsetattr(self.box_fd, termios.TCSANOW, self._before)
        self.resize()
        tty.setraw(self._stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        with self._lock:
            for fd in (self.our_fd, self.box_fd):
                if fd >= 0:
                    os.close(fd)
            self.our_fd = self.box_fd = -1

    def leave(self) -> None:
        """The caller's terminal is as it was, and no key goes to the box any more. Any thread, and any number of
        times."""
        import termios

        with self._lock:
            before, self._before = self._before, None
            if before is not None:
                self._left.cancel()
                with suppress(termios.error):  # it was hung up
                    termios.tcsetattr(self._stdin, termios.TCSADRAIN, before)

    def resize(self) -> None:
        """The window has the size of the caller's."""
        import fcntl
        import termios

        with self._lock:
            if self.our_fd >= 0:
                size = fcntl.ioctl(self._stdout, termios.TIOCGWINSZ, bytes(8))
                fcntl.ioctl(self.our_fd, termios.TIOCSWINSZ, size)

    def _listen(self, sink: int) -> None:
        """Hand keys on until the person leaves; what is typed then is for somebody else."""
        before = b""
        try:
            while self._left.fd not in _await_any(self._left.fd, self._stdin):
                data = os.read(self._stdin, _CHUNK)
                at = (before + data).find(DETACH) if self._on_detach is not None else -1
                keys = data if at < 0 else data[: max(0, at + 1 - len(before))]
                before = data[-1:]
                while keys:
                    keys = keys[os.write(sink, keys) :]
                if at >= 0 and self._on_detach is not None:
                    self.leave()
                    self._on_detach()
                if not data:
                    break
        except OSError:
            pass  # the box has ended, or the caller has hung up
        finally:
            os.close(sink)


@contextmanager
def following(resize: Callable[[], None]) -> Iterator[None]:
    """``resize`` is called whenever the size of the caller's window changes. In the main thread only."""
    before = signal.signal(signal.SIGWINCH, lambda number, frame: resize())
    try:
        resize()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before or signal.SIG_DFL)


def _await_any(*fds: int) -> list[int]:
    """Those of them that can be read."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll()]


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
