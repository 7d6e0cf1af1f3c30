"""Counts that suites of faults keep over all processes of a test run, printed when it ends.

``count("kill points", 1)`` adds to a file that ``conftest`` made known; without one it counts nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

VARIABLE = "WARPFORGE_TEST_LEDGER"


def count(what: str, number: int = 1) -> None:
    """Add to a count."""
    path = os.environ.get(VARIABLE)
    if path:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(fd, f"{number} {what}\n".encode())
        finally:
            os.close(fd)


def read(path: str) -> dict[str, int]:
    """All counts so far."""
    found: Counter[str] = Counter()
    for line in Path(path).read_text().splitlines() if os.path.exists(path) else ():
        number, _, what = line.partition(" ")
        found[what] += int(number)
    return dict(sorted(found.items()))
