"""The table at the end: what the memo knew and saved, what ran, what failed."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Final

from warpforge.cli.render import seconds

if TYPE_CHECKING:
    from warpforge.cli.board import Board
    from warpforge.store.store import Store

NAMES: Final = 3
DEPTH: Final = 5_000  # executions that are looked through for what the memo saved


def summary(board: Board, store: Store | None) -> Iterator[str]:
    """The lines; none for a single step that came from the memo, or when nothing was done at all."""
    if board.done < 2 and not board.ran and not board.failed:
        return
    took = seconds(monotonic() - board.began)
    if board.hits:
        saved = _saved(board, store)
        yield _row("hit", len(board.hits), f"{seconds(saved)} saved" if saved is not None else "")
    if board.ran:
        slowest = sorted(board.ran, key=lambda step: -step[1])[:NAMES]
        names = ", ".join(f"{name} {seconds(own)}" for name, own in slowest) if len(board.ran) > 1 else ""
        total = seconds(sum(own for _, own in board.ran))
        yield _row("run", len(board.ran), total + (f"   slowest: {names}" if names else ""))
    if board.failed:
        yield _row("failed", len(board.failed), _some(board.failed))
    if board.skipped:
        yield _row("skipped", len(board.skipped), _some(board.skipped))
    left = board.total - board.done
    if left > 0:
        yield _row("not done", left, "")
    yield _row("all", max(board.total, board.done), took)


def _row(what: str, count: int, more: str) -> str:
    return f"{what:<9} {count:>5}   {more}".rstrip()


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMES]) + (f" and {len(names) - NAMES} more" if len(names) > NAMES else "")


def _saved(board: Board, store: Store | None) -> float | None:
    """What the runs took whose results the memo gave; None when the log knows none of them."""
    history = board.history
    if history is None and store is not None:
        from itertools import islice

        from warpforge.engine.history import History

        history = History(islice(store.runs.entries(), DEPTH))
    found = [entry.duration for run in board.hits if history and (entry := history.run(run))]
    return sum(found) if found else None
