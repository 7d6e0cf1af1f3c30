"""Limits of a run: which there are, how they are told to the kernel, and what keeps each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from warpforge.sandbox.cgroup import Group
    from warpforge.sandbox.spec import BoxSpec

_RLIMIT_NPROC: Final = 6
_BACKSTOP: Final = 4
_ROOM: Final = 4096  # more than can be forked between two looks


def make_rlimits(pids: int) -> tuple[tuple[int, int, int], ...]:
    """Limits of each process where no cgroup counts ``pids``; 0: none.

    A program that runs into such a limit may go on as if nothing had been, and nobody else would know: what it gives
    would depend on the limit. So the meter stops it long before, and this only holds what is quicker than the meter.
    """
    limit = pids * _BACKSTOP + _ROOM
    return ((_RLIMIT_NPROC, limit, limit),) if pids else ()


def name_limits(spec: BoxSpec, group: Group) -> dict[str, str]:
    """What was asked for and what keeps it, for the record of the run: ``{"memory": "1000000 by cgroup v2"}``."""
    keepers = {counter: place.name for counter, place in group.kept.items()}
    asked = {
        "time": (f"{spec.deadline:g}", "clock"),
        "memory": (f"{spec.memory_limit}", "meter"),
        "pids": (f"{spec.pids_limit}", "meter and rlimit"),
        "disk": (f"{spec.disk_limit}", "meter"),
        "output": (f"{spec.output_limit}", "engine"),
        "gather": (f"{spec.gather_limit}", "gather"),
    }
    return {name: f"{limit} by {keepers.get(name, keeper)}" for name, (limit, keeper) in asked.items() if limit != "0"}
