"""Bars: the screen of commands that move wares, with a bar for each that moves and one for all."""

from __future__ import annotations

import sys
from typing import Any, Final

from warpforge.cli.app import Common, printable
from warpforge.cli.render import Renderer, short
from warpforge.engine.events import Event, Notice, WareMoving

NARROW: Final = 90  # columns; below them there is no room for the other end's address


class Bars(Renderer):
    """For a terminal. Lines that stay scroll up above the bars, results too when they go to the same terminal."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        # room at the right for the ^C that a terminal echoes: a line more would spoil the erasing
        console = Console(stderr=True, highlight=False)
        console = Console(stderr=True, highlight=False, width=max(20, console.width - 3))
        self._wide = console.width >= NARROW
        columns = (
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(24 if self._wide else 8),
            TextColumn("{task.fields[amount]}", justify="right", table_column=Column(no_wrap=True)),
        )
        self._bars = Progress(*columns, console=console, transient=True, expand=True)
        self._tasks: dict[tuple[object, str], Any] = {}
        self._all: Any = None
        self._bars.start()

    def show(self, event: Event) -> None:
        if isinstance(event, WareMoving):
            self._move(event)
        elif isinstance(event, Notice):
            self._line(f"{'note' if event.level == 'info' else 'warn'}  {event.message}")

    def count(self, done: int, total: int) -> None:
        """So many of so many wares are done; for one there is no bar of all."""
        if total > 1:
            with self._lock:
                if self._all is None:
                    self._all = self._bars.add_task("all", total=total, amount="")
                self._bars.update(self._all, completed=done, amount=f"{done} of {total}")

    def result(self, text: str) -> None:
        """One line of result, on stdout."""
        if sys.stdout.isatty():
            self._line(text)
        else:
            self._common.result(text)

    def _line(self, text: str) -> None:
        self._bars.console.print(printable(text), markup=False, soft_wrap=True)

    def _move(self, event: WareMoving) -> None:
        key = (event.ware, event.address)
        if key not in self._tasks:
            label = short(str(event.ware)) + (f" {event.address}" if self._wide else "")
            self._tasks[key] = self._bars.add_task(
                printable(label).replace("[", "\\["), total=event.total, completed=event.done, amount=""
            )
        task = self._bars.tasks[self._bars.task_ids.index(self._tasks[key])]
        speed = f"  {task.speed / 1e6:6.2f} MB/s" if task.speed else ""
        amount = f"{event.done / 1e6:.1f}" + (f" of {event.total / 1e6:.1f} MB" if event.total else " MB")
        self._bars.update(self._tasks[key], completed=event.done, amount=amount + speed)
        if event.done == event.total:
            self._bars.remove_task(self._tasks.pop(key))

    def close(self) -> None:
        self._bars.stop()
