"""Signals that ask a command to end: the first stops everything in order, the second at once."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Final

from warpforge.cli.app import Common, say_error
from warpforge.errors import EXIT_INTERRUPTED, Failed

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
            raise KeyboardInterrupt
        else:
            self._is_ending = True
            self._end_at_once()

    def _end_at_once(self) -> None:
        with suppress(OSError, RuntimeError):
            self._common.give_back()
            if sys.stderr.isatty():
                sys.stderr.write("\033[?25h\r")  # the cursor, which a live picture had hidden
        self._common.json = self._common.json or "--json" in self._argv
        say_error(self._common, Failed("interrupted", "interrupted twice: stopped at once"))
        os._exit(EXIT_INTERRUPTED)
