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

HEAD = ("work", "ours", "peer", "the peer is", "ratio", "budget", "")


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
    return (
        row.name,
        _amount(row.ours_seconds, row.unit),
        _amount(row.peer_seconds, row.unit) if row.peer_seconds is not None else "-",
        row.peer,
        f"{ratio:.2f}" if ratio is not None else "-",
        f"{budget:.2f}" if budget is not None else "-",
        verdict,
    )


def _amount(value: float, unit: str) -> str:
    return f"{value:.1f} MB" if unit == "MB" else f"{value * 1000:.1f} ms"


def table(rows: list[Row]) -> str:
    """The rows in columns, numbers to the right."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    right = {1, 2, 4, 5}
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
    print("Medians of wall time, ours and the peer's in turn; compare only within a line.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
