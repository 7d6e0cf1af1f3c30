"""The live screen: lines that stay scroll up, below them the board is drawn again and again.

What is over in a moment is told in lines alone: there is a picture when something has run for longer.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import Common
from warpforge.cli.board import Board
from warpforge.cli.render import Lines, name
from warpforge.cli.tail import KEPT
from warpforge.engine.events import Event, StepFailed, StepFinished

if TYPE_CHECKING:
    from warpforge.cli.picture import Picture
    from warpforge.store.store import Store

PATIENCE: Final = 0.4  # seconds of work before there is a picture


class LiveScreen(Lines):
    """For a terminal. Threads may tell events; one of its own opens the picture, another one draws it."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self.board = Board()
        self._store: Store | None = None
        self._picture: Picture | None = None
        self._opening: threading.Timer | None = None

    def knows(self, store: Store, jobs: int) -> None:
        self.board.jobs = jobs
        self._store = self._store or store

    def show(self, event: Event) -> None:
        self.board.hear(event)
        super().show(event)
        if self.board.busy and self._picture is None and self._opening is None:
            self._opening = threading.Timer(PATIENCE, self._open)
            self._opening.daemon = True
            self._opening.start()

    def ended(self, event: StepFinished | StepFailed) -> None:
        if isinstance(event, StepFailed) and not self._common.verbose:
            tail = self._tails.get(event.step)
            last = tail.last(KEPT) if tail else []
            if last:
                self.line("\n".join(f"{name(event.step)} | {line}" for line in last))

    def output(self, step: tuple[str, ...], lines: list[bytes]) -> None:
        if self._common.verbose:
            self.say(step, lines)

    def line(self, text: str) -> None:
        if self._picture is None:
            super().line(text)
        else:
            self._picture.line(text)

    def pause(self) -> None:
        with self._lock:
            opening, self._opening = self._opening, None
            picture, self._picture = self._picture, None
        if opening is not None:
            opening.cancel()
        if picture is not None:
            picture.close()

    def close(self) -> None:
        self.pause()
        super().close()
        from warpforge.cli.summary import summary

        for line in summary(self.board, self._store):
            super().line(line)
        self.board = Board(self.board.jobs)

    def _open(self) -> None:
        from warpforge.cli.picture import Picture

        if self._store is not None:
            from warpforge.engine.history import History

            history = History(self._store.runs.entries())
            with self._lock:
                self.board.learn(history)
        with self._lock:
            opening, self._opening = self._opening, None
            if opening is not None and self.board.busy:  # else it is over; when something begins we come again
                self._picture = Picture(lambda width, height: self.board.picture(width, height, dict(self._tails)))
