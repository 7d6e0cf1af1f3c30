"""Signals that ask a command to end: the first stops everything in order, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import Common, say_error
from warpforge.errors import EXIT_INTERRUPTED, Failed

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PAUSE: Final = 0.005  # seconds between two looks whether it may be raised now
_PATIENCE: Final = 5.0  # seconds; then it is raised wherever we are


class Signals:
    """What becomes of the signals of one command; what a caller had us ignore stays ignored.

    ``asked``: one came while they were heard. ``are_heard``: the command is under way; afterwards the first one is
    passed over, for what came of the command is just being told.
    Boxes die with this process whatever its end (their helpers watch it), and what was staged is swept at the next
    start, so ending at once leaves nothing behind either.
    """

    def __init__(self, common: Common, argv: list[str]) -> None:
        self.asked = False
        self.are_heard = True
        self._common = common
        self._argv = argv
        self._is_ending = False
        self._until = 0.0

    def mind(self) -> None:
        """From now on a KeyboardInterrupt may be raised here, once."""
        for number in NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._hear)

    def _hear(self, _: int, frame: FrameType | None) -> None:
        if self._is_ending:
            os._exit(EXIT_INTERRUPTED)
        if not self.are_heard:
            self._is_ending = True
        elif not self.asked:
            self.asked = True
            self._silence()
            self._until = time.monotonic() + _PATIENCE
            self._interrupt(frame)
        else:
            self._is_ending = True
            self._end_at_once()

    def _interrupt(self, frame: FrameType | None) -> None:
        """Now, or as soon as it tears nothing apart."""
        if _may_interrupt(frame) or time.monotonic() > self._until:
            raise KeyboardInterrupt
        self._look_again()

    def _look_again(self) -> None:
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, _PAUSE)

    def _look(self, _: int, frame: FrameType | None) -> None:
        if self.are_heard:
            self._interrupt(frame)

    def _silence(self) -> None:
        """What others of this process say of being interrupted is of no use to anybody."""
        sys.unraisablehook = self._mind_unraisable
        if "threading" in sys.modules:
            sys.modules["threading"].excepthook = lambda _: None  # type: ignore[attr-defined]

    def _mind_unraisable(self, what: UnraisableHookArgs) -> None:
        if what.exc_type is KeyboardInterrupt:  # it came where nothing can be raised, and is lost
            self._look_again()

    def _end_at_once(self) -> None:
        with suppress(OSError, RuntimeError):
            self._common.give_back()
            if sys.stderr.isatty():
                sys.stderr.write("\033[?25h\r")  # the cursor, which a live picture had hidden
        self._common.json = self._common.json or "--json" in self._argv
        say_error(self._common, Failed("interrupted", "interrupted twice: stopped at once"))
        os._exit(EXIT_INTERRUPTED)


def _may_interrupt(frame: FrameType | None) -> bool:
    try:
        from warpforge.fsx.interrupts import may_interrupt
    except (ImportError, OSError):  # it is just being loaded, or nothing can be
        return True
    return may_interrupt(frame)
