"""What a bench says: rows, each the time of one of our commands beside a peer's on the same work.

A **row** holds medians of wall seconds. **ours** and **peer** are measured in turn (A B A B ...), so that whatever else
the machine does meets both. The **ratio** is ours over the peer's, the **budget** the most that it should be.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Work = Callable[[], object]

# where benches work: in memory, for a disk would be the only thing that they measure
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Row(NamedTuple):
    """One line of the table. ``peer_seconds`` is None where the peer is not installed; ``unit``: ms, or MB."""

    name: str
    ours_seconds: float
    peer: str
    peer_seconds: float | None
    budget: float | None
    unit: str = "ms"

    @property
    def ratio(self) -> float | None:
        return self.ours_seconds / self.peer_seconds if self.peer_seconds else None


def seconds(work: Work) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_of(work: Work, *, rounds: int, before: Work | None = None, warm: bool = True) -> float:
    """Median seconds of one alone, after one round that does not count if ``warm``; ``before`` precedes each call."""
    samples = []
    for number in range(rounds + warm):
        if before:
            before()
        taken = seconds(work)
        if number >= warm:
            samples.append(taken)
    return statistics.median(samples)


def in_turn(ours: Work, peer: Work, *, rounds: int = 7, before: Work | None = None) -> tuple[float, float]:
    """Median seconds of both, measured in turn after one round that does not count. ``before`` precedes each call."""
    samples: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        pair = []
        for work in (ours, peer):
            if before:
                before()
            pair.append(seconds(work))
        if number:
            samples.append((pair[0], pair[1]))
    return statistics.median(a for a, _ in samples), statistics.median(b for _, b in samples)


def compare(
    name: str,
    ours: Work,
    peer: tuple[str, Work],
    *,
    budget: float | None,
    needs: Sequence[str] = (),
    rounds: int = 7,
    before: Work | None = None,
) -> Row:
    """One row; where a command that the peer ``needs`` is not installed, ours alone."""
    title, work = peer
    absent = [tool for tool in needs if shutil.which(tool) is None]
    if absent:
        alone, _ = in_turn(ours, lambda: None, rounds=rounds, before=before)
        return Row(name, alone, f"{title} ({', '.join(absent)} not installed)", None, budget)
    ours_seconds, peer_seconds = in_turn(ours, work, rounds=rounds, before=before)
    return Row(name, ours_seconds, title, peer_seconds, budget)


def command(argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Work:
    """A command as work: its output is dropped, its failure raised."""

    def work() -> None:
        done = subprocess.run(list(map(str, argv)), cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise RuntimeError(
                f"{argv[0]} exited with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
            )

    return work


def shell(script: str, *, cwd: Path | None = None) -> Work:
    """A shell pipeline as work; a failure in the middle counts."""
    return command(["bash", "-c", "set -euo pipefail; " + script], cwd=cwd)
