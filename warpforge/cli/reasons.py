"""Reasons as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import printable

if TYPE_CHECKING:
    from warpforge.plan.why import Change, Reason

WIDTH: Final = 100
LINES: Final = 12  # of a text that are shown


def lines(reason: Reason) -> Iterator[str]:
    """One reason with all that it leads back to, then what is at the bottom of it."""
    yield from _reason(reason, "")
    roots = [*reason.roots()]
    if any(change.cause is not None for change in reason.changes) and roots:
        yield (
            "so it comes from: "
            + "; ".join(f"{change.at} of {_name(step)}" for step, change in roots[:5])
            + (f"; and {len(roots) - 5} more" if len(roots) > 5 else "")
        )


def _reason(reason: Reason, indent: str) -> Iterator[str]:
    verb = "ran" if reason.run else "runs"
    name = _name(reason.step)
    if reason.verdict == "waits":
        yield f"{indent}{name} waits: {reason.note}"
    elif reason.verdict == "changed":
        yield f"{indent}{name} {verb} because of {_many(len(reason.changes))}" + (":" if reason.changes else "")
        if reason.note:
            yield f"{indent}  ({reason.note})"
    else:
        yield f"{indent}{name} {verb}: {reason.note}"
    for change in reason.changes:
        yield from _change(change, indent + "  ")


def _change(change: Change, indent: str) -> Iterator[str]:
    said = f"{indent}{change.at}"
    if change.origin and not change.origin.startswith("literal:"):
        said += f", {change.origin}" + (f" (before: {change.old_origin})" if change.old_origin else "")
    if change.note and not change.files:
        said += f": {change.note}"
    if change.cause is not None:
        yield printable(f"{said}, a consequence:")
        yield from _reason(change.cause, indent + "  ")
        return
    yield printable(said)
    if not change.files:
        yield from _sides(change, indent + "  ")
    for line in change.files:
        yield f"{indent}  {printable(line)}"
    if change.files and change.note:
        yield f"{indent}  {change.note}"


def _sides(change: Change, indent: str) -> Iterator[str]:
    for mark, text in (("-", change.old), ("+", change.new)):
        for number, line in enumerate(text.splitlines() if text else ()):
            if number == LINES:
                yield f"{indent}{mark} ..."
                break
            yield f"{indent}{mark} {printable(line if len(line) <= WIDTH else line[: WIDTH - 1] + '…')}"


def _name(step: str) -> str:
    return f"step {printable(step)}" if step else "the formula"


def _many(count: int) -> str:
    return "one change" if count == 1 else f"{count} changes"
