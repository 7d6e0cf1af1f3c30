"""What a bench says: rows, each what one of our commands takes beside a peer's on the same work.

A **row** holds medians of wall seconds, or another figure with its unit. **ours** and **peer** are measured in turn
(A B A B ...), so that whatever else the machine does meets both. The **ratio** is ours over the peer's, the **budget**
the most that it should be; where the bound is a number there is no peer, and the ratio is ours over that number.
Beside the wall stand the seconds of all processors that each took, and how busy others kept the machine meanwhile.
"""

from __future__ import annotations

import os
import resource
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
    """One line of the table. ``peer_seconds`` is None where the peer is not installed; ``unit``: ms, or MB.

    ``ours_cpu``, ``peer_cpu``: seconds of processors, where they were measured. ``busy``: the share of the machine that
    others took meanwhile, 0 to 1.
    """

    name: str
    ours_seconds: float
    peer: str
    peer_seconds: float | None
    budget: float | None
    unit: str = "ms"
    ours_cpu: float | None = None
    peer_cpu: float | None = None
    busy: float = 0.0

    @property
    def ratio(self) -> float | None:
        return self.ours_seconds / self.peer_seconds if self.peer_seconds else None


class _Sample(NamedTuple):
    wall: float
    cpu: float
    foreign: float  # seconds of processors that others took


def _measure(work: Work) -> _Sample:
    cpu, machine, start = _own_cpu(), _machine_cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - start
    own = _own_cpu() - cpu
    return _Sample(wall, own, max(0.0, _machine_cpu() - machine - own))


def seconds(work: Work) -> float:
    """Wall seconds of one call."""
    return _measure(work).wall


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


def _own_cpu() -> float:
    """Of this process and of all its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _machine_cpu() -> float:
    """Of everybody, idle and waiting left out (proc(5), /proc/stat)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


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
    """One row, after one round that does not count; ``before`` precedes each call.

    Where a command that the peer ``needs`` is not installed, ours alone.
    """
    title, theirs = peer
    absent = [tool for tool in needs if shutil.which(tool) is None]
    samples: list[tuple[_Sample, ...]] = []
    for _ in range(rounds + 1):
        pair = []
        for work in (ours,) if absent else (ours, theirs):
            if before:
                before()
            pair.append(_measure(work))
        samples.append(tuple(pair))
    del samples[0]
    (ours_seconds, ours_cpu), *others = [_median(column) for column in zip(*samples, strict=True)]
    busy = _foreign_share([sample for pair in samples for sample in pair])
    if not others:
        title = f"{title} ({', '.join(absent)} not installed)"
        return Row(name, ours_seconds, title, None, budget, ours_cpu=ours_cpu, busy=busy)
    peer_seconds, peer_cpu = others[0]
    return Row(name, ours_seconds, title, peer_seconds, budget, ours_cpu=ours_cpu, peer_cpu=peer_cpu, busy=busy)


def within(name: str, work: Work, bound: float, *, rounds: int = 7, warm: bool = True) -> Row:
    """One row of a work that has a number of seconds as its bound, after one round that does not count if ``warm``."""
    samples = [_measure(work) for _ in range(rounds + warm)][warm:]
    wall, cpu = _median(samples)
    return Row(name, wall, "the bound itself", bound, 1.0, ours_cpu=cpu, busy=_foreign_share(samples))


def _foreign_share(samples: Sequence[_Sample]) -> float:
    processors = (os.cpu_count() or 1) * sum(sample.wall for sample in samples)
    return sum(sample.foreign for sample in samples) / processors


def _median(samples: Sequence[_Sample]) -> tuple[float, float]:
    """Wall seconds, and those of processors."""
    return statistics.median(s.wall for s in samples), statistics.median(s.cpu for s in samples)


def bounded(name: str, value: float, bound: float, *, unit: str = "ms") -> Row:
    """One row of a figure that has a number as its bound: seconds, or MB."""
    return Row(name, value, "the bound itself", bound, 1.0, unit)


def command(argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Work:
    """A command as work: its output is dropped, its failure raised."""

    def work() -> None:
        done = subprocess.run(list(map(str, argv)), cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise RuntimeError(
                f"{argv[0]} exited with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
            )

    return work


def shell(script: str, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Work:
    """A shell pipeline as work; a failure in the middle counts."""
    return command(["bash", "-c", "set -euo pipefail; " + script], cwd=cwd, env=env)
