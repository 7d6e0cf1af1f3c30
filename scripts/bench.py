"""``make bench``: the rows of every scripts/bench_*.py as a table; ``make bench ARGS=run`` only those of bench_run.

Each bench module has ``rows() -> Iterator[Row]``.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from bench_row import Row

HEAD = ("work", "ours", "cpu", "peer", "cpu", "the peer is", "ratio", "budget", "")
BUSY = 0.15  # share of the machine that others may take while a row is measured, before it says so


def modules() -> list[str]:
    here = Path(__file__).parent
    return sorted(path.stem for path in here.glob("bench_*.py") if path.stem != "bench_row")


def collect(words: list[str]) -> Iterator[Row]:
    """Every row of the modules whose name holds one of the words (all without words)."""
    for name in modules():
        if words and not any(word in name for word in words):
            continue
        print(f"measuring {name.removeprefix('bench_')} ...", file=sys.stderr, flush=True)
        yield from importlib.import_module(name).rows()


def cells(row: Row) -> tuple[str, ...]:
    ratio, budget = row.ratio, row.budget
    verdict = "" if ratio is None or budget is None else ("ok" if ratio <= budget else "over")
    if row.busy > BUSY:
        verdict = f"{verdict} (others took {row.busy:.0%} of the machine)".strip()
    return (
        row.name,
        _amount(row.ours_seconds, row.unit),
        _cpu(row.ours_cpu),
        _amount(row.peer_seconds, row.unit),
        _cpu(row.peer_cpu),
        row.peer,
        f"{ratio:.2f}" if ratio is not None else "-",
        f"{budget:.2f}" if budget is not None else "-",
        verdict,
    )


def _amount(value: float | None, unit: str) -> str:
    """Seconds in milliseconds, small ones with more digits; others as they are."""
    if value is None:
        return "-"
    if unit == "MB":
        return f"{value:.1f} MB"
    return f"{value * 1000:.{1 if value > 0.001 else 4}f} ms"


def _cpu(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"


def table(rows: list[Row]) -> str:
    """The rows in columns, numbers to the right."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    right = {1, 2, 3, 4, 6, 7}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def main() -> int:
    rows = list(collect(sys.argv[1:]))
    print(f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(table(rows))
    print("Medians of wall time, ours and the peer's in turn, processor time beside it; compare only within a line.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
