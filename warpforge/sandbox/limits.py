"""Limits of a run: which there are, how they are told to the kernel, and what keeps each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from warpforge.sandbox.cgroup import Group
    from warpforge.sandbox.spec import BoxSpec

_RLIMIT_FSIZE: Final = 1
_RLIMIT_DATA: Final = 2
_RLIMIT_NPROC: Final = 6
# What the kernel holds a burst to between two looks of the meter, above what the meter allows
_BURST: Final = 2
_ENGINES_OWN: Final = 6


def make_rlimits(memory: int, pids: int, disk: int) -> tuple[tuple[int, int, int], ...]:
    """Limits of each process: ``memory`` and ``pids`` where no cgroup keeps them, 0 for none."""
    wanted = (
        (_RLIMIT_FSIZE, disk),
        (_RLIMIT_DATA, memory * _BURST),
        (_RLIMIT_NPROC, pids and pids + _ENGINES_OWN),
    )
    return tuple((number, limit, limit) for number, limit in wanted if limit)


def name_limits(spec: BoxSpec, group: Group) -> dict[str, str]:
    """What was asked for and what keeps it, for the record of the run: ``{"memory": "1000000 by cgroup v2"}``."""
    keepers = {counter: place.name for counter, place in group.kept.items()}
    asked = {
        "time": (f"{spec.deadline:g}", "clock"),
        "memory": (f"{spec.memory_limit}", "meter and rlimit"),
        "pids": (f"{spec.pids_limit}", "meter and rlimit"),
        "disk": (f"{spec.disk_limit}", "meter and rlimit"),
        "output": (f"{spec.output_limit}", "engine"),
        "gather": (f"{spec.gather_limit}", "gather"),
    }
    return {name: f"{limit} by {keepers.get(name, keeper)}" for name, (limit, keeper) in asked.items() if limit != "0"}
