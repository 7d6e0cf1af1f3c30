"""A picture at the bottom of the terminal, drawn again and again; lines that stay scroll up above it.

A window that becomes narrower wraps what was drawn; the rows that this takes are counted, so that all of it is erased.
rich is imported when there is something to draw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import printable

if TYPE_CHECKING:
    from rich.text import Text

Piece = tuple[str, str]  # text, and its style
Row = list[Piece]

MARGIN: Final = 3  # columns at the right for the ^C that a terminal echoes: a line more would spoil the erasing
FRAMES: Final = 8  # a second


class Picture:
    """``rows`` gives what to draw in so many columns and rows; a thread of rich's asks it. ``close`` wipes it away."""

    def __init__(self, rows: Callable[[int, int], list[Row]]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._rows = rows
        self._drawn: tuple[int, list[int]] = (0, [])  # columns, and the length of each row, of the last picture
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=FRAMES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def line(self, text: str, lead: Piece = ("", "")) -> None:
        """A line that stays; ``lead`` stands before it, in its own style."""
        from rich.text import Text

        self._mind_width(self._console.width)
        self._console.print(Text.assemble(lead, printable(text)), soft_wrap=True)

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> Text:
        from rich.cells import cell_len
        from rich.text import Text

        columns, rows = self._console.size
        self._mind_width(columns)
        picture = Text(no_wrap=True, overflow="crop", end="")
        lengths = []
        for number, pieces in enumerate(self._rows(columns - MARGIN, max(1, rows - 2))):
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
        if columns >= before:
            return
        region = self._live._live_render
        if region._shape is not None:
            region._shape = (columns, sum(max(1, -(-length // max(1, columns))) for length in lengths))
