"""Whoever sits before the terminal: asked by the code of steps, and told what is no line of a log."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from warpforge.cli.app import printable

if TYPE_CHECKING:
    from warpforge.cli.pt_attach import Attachment
    from warpforge.cli.pt_lines import LineTeller
    from warpforge.polytope.containers.seats import Sitter
    from warpforge.polytope.spec import ContainerSpec


class Terminal:
    """Questions come one after the other, and not while the person sits at a container; the picture is away while one
    is asked."""

    def __init__(self, teller: Callable[[], LineTeller], attachment: Attachment | None = None) -> None:
        self._teller = teller
        self._attachment = attachment
        self._before: list[Any] | None = None  # how the terminal was before a question
        self._lock = threading.Lock()

    def sitter(self, step: str, spec: ContainerSpec) -> Sitter | None:
        return self._attachment.sitter(step, spec, self._teller()) if self._attachment else None

    def ask(self, step: str, kind: str, prompt: str) -> str | None:
        """A line, without its end; None at the end of the input."""
        if self._attachment is not None:
            self._attachment.is_free.wait()
        with self._lock, self._teller().paused():
            if sys.stdin.isatty() and sys.stdout.isatty():
                return self._edit(printable(prompt))
            sys.stderr.write(printable(prompt))
            sys.stderr.flush()
            line = sys.stdin.readline()
        return line.rstrip("\n") if line else None

    def _edit(self, prompt: str) -> str | None:
        """A line that can be edited, with those before it to go back to."""
        import readline  # noqa: F401 (input uses it)
        import termios

        self._before = termios.tcgetattr(0)
        try:
            return input(prompt)
        except EOFError:
            sys.stdout.write("\n")
            sys.stdout.flush()
            return None
        finally:
            self._before = None

    def close(self) -> None:
        """The terminal is as it was, though a question may have been left without an answer."""
        import termios

        before, self._before = self._before, None
        if before is not None:
            with suppress(termios.error):  # it was hung up
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def say(self, step: str, text: str) -> None:
        """Text as it comes, on stdout."""
        with self._lock:
            self._teller().close()
            sys.stdout.write(printable(text))
            sys.stdout.flush()
