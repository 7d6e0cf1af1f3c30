"""Progress over the modules of a catalog, for who waits at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warpforge.cli.app import Common


@contextmanager
def bar(common: Common) -> Iterator[Callable[[str, int, int], None]]:
    """On a terminal, a bar; hears what is being done, and for how many modules of how many."""
    if common.quiet or common.json or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("looking at modules", total=None)
        told = ""

        def progress(what: str, done: int, total: int) -> None:
            nonlocal told
            if what != told:  # another pass has another speed
                told = what
                shown.reset(task, description=what, total=total)
            shown.update(task, completed=done)

        yield progress
