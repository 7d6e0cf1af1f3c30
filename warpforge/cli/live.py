"""The live screen: lines that stay scroll up, below them the board is drawn again and again.

What is over in a moment is told in lines alone: rich is imported when something has run for longer. A window that
becomes narrower wraps what was drawn; the rows that this takes are counted, so that all of it is erased.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import Common, printable
from warpforge.cli.board import Board
from warpforge.cli.render import Lines, name
from warpforge.cli.tail import KEPT
from warpforge.engine.events import Event, StepFailed, StepFinished

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from warpforge.store.store import Store

PATIENCE: Final = 0.4  # seconds of work before there is a picture
MARGIN: Final = 3  # columns at the right for the ^C that a terminal echoes: a line more would spoil the erasing
FRAMES: Final = 8  # a second


class LiveScreen(Lines):
    """For a terminal. Threads may tell events; one of its own opens the picture, another one draws it."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self.board = Board()
        self._store: Store | None = None
        self._live: Live | None = None
        self._opening: threading.Timer | None = None
        self._drawn: tuple[int, list[int]] = (0, [])  # columns, and the length of each row, of the last picture

    def knows(self, store: Store, jobs: int) -> None:
        self.board.jobs = jobs
        self._store = self._store or store

    def show(self, event: Event) -> None:
        self.board.hear(event)
        super().show(event)
        if self.board.busy and self._live is None and self._opening is None:
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
        if self._live is None:
            super().line(text)
        else:
            from rich.text import Text

            self._mind_width(self._live.console.width)
            self._live.console.print(Text(printable(text)), soft_wrap=True)

    def pause(self) -> None:
        with self._lock:
            opening, self._opening = self._opening, None
            live, self._live = self._live, None
        if opening is not None:
            opening.cancel()
        if live is not None:
            live.stop()

    def close(self) -> None:
        self.pause()
        super().close()
        from warpforge.cli.summary import summary

        for line in summary(self.board, self._store):
            super().line(line)
        self.board = Board(self.board.jobs)

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        if self._store is not None:
            from warpforge.engine.history import History

            history = History(self._store.runs.entries())
            with self._lock:
                self.board.learn(history)
        console = Console(stderr=True, highlight=False)
        with self._lock:
            opening, self._opening = self._opening, None
            if opening is None or not self.board.busy:
                return  # it is over; when something else begins we come again
            self._live = Live(
                console=console,
                get_renderable=lambda: self._picture(console),
                refresh_per_second=FRAMES,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _picture(self, console: Console) -> Text:
        from rich.cells import cell_len
        from rich.text import Text

        columns, rows = console.size
        self._mind_width(columns)
        picture = Text(no_wrap=True, overflow="crop", end="")
        lengths = []
        for number, pieces in enumerate(self.board.picture(columns - MARGIN, max(1, rows - 2), dict(self._tails))):
            line = Text(no_wrap=True, overflow="ellipsis", end="")
            for text, style in pieces:
                line.append(printable(text), style=style)
            line.truncate(max(1, columns - MARGIN), overflow="ellipsis")
            picture.append_text(Text("\n") if number else Text(""))
            picture.append_text(line)
            lengths.append(cell_len(line.plain))
        self._drawn = (columns, lengths)
        return picture

    def _mind_width(self, columns: int) -> None:
        """Tell rich how many rows the last picture takes now that the window is narrower."""
        before, lengths = self._drawn
        if self._live is None or columns >= before:
            return
        region = self._live._live_render
        if region._shape is not None:
            region._shape = (columns, sum(max(1, -(-length // max(1, columns))) for length in lengths))
