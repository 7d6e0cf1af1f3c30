"""Modules of a workspace among each other: which one makes a candidate, and in which order they are run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from warpforge.errors import Invalid, WarpforgeError
from warpforge.model.atoms import Candidate
from warpforge.workspace.targets import Target, find_targets


def find_module(name: str, top: Path) -> Target | None:
    """The module of this name with a plot at or below a directory. Errors: ``invalid`` when there are two."""
    found = [target for target in find_targets(["./..."], top) if module_name(target) == name]
    if len(found) > 1:
        places = ", ".join(str(target.path.parent) for target in found)
        raise Invalid("module-invalid", f"more than one module here is called {name}: {places}", reason="duplicate")
    return found[0] if found else None


def module_name(target: Target) -> str:
    """The name of a module; empty for one that cannot be read: whoever runs it will hear why."""
    from warpforge.model.serial import load_module

    try:
        return load_module(target.path.read_bytes(), str(target.path)).noun.name
    except (WarpforgeError, OSError):
        return ""


def in_order(targets: Sequence[Target]) -> list[Target]:
    """The targets, each behind those whose results it names as candidates, else as they were given.

    Errors: ``plot-invalid`` (cycle).
    """
    if len(targets) < 2:
        return [*targets]
    needs = {number: set(_candidates(target)) for number, target in enumerate(targets)}
    if not any(needs.values()):
        return [*targets]
    makers: dict[str, set[int]] = {}
    for number, target in enumerate(targets):
        if target.kind == "module":
            makers.setdefault(module_name(target), set()).add(number)
    waits = {number: set().union(*(makers.get(name, ()) for name in names)) for number, names in needs.items()}
    return [targets[number] for number in _sorted(waits, targets)]


def _sorted(waits: dict[int, set[int]], targets: Sequence[Target]) -> Iterator[int]:
    """The numbers, lowest first among those that wait for nothing."""
    from heapq import heappop, heappush

    frees: dict[int, list[int]] = {}
    for number, others in waits.items():
        for other in others:
            frees.setdefault(other, []).append(number)
    ready = [number for number, others in waits.items() if not others]
    left = {number: len(others) for number, others in waits.items()}
    while ready:
        number = heappop(ready)
        del left[number]
        yield number
        for waiting in frees.get(number, ()):
            left[waiting] -= 1
            if not left[waiting]:
                heappush(ready, waiting)
    if left:
        raise _ring(targets[number] for number in left)


def _candidates(target: Target) -> Iterator[str]:
    from warpforge.model.serial import load_plot
    from warpforge.plan.refs import refs

    if target.kind == "formula":
        return
    try:
        plot = load_plot(target.plot.read_bytes(), str(target.plot)).noun
    except (WarpforgeError, OSError):
        return
    yield from (ref.module for ref in refs(plot) if isinstance(ref, Candidate))


def _ring(targets: Iterable[Target]) -> Invalid:
    names = ", ".join(str(target.path) for target in targets)
    return Invalid("plot-invalid", f"modules name each other's results in a ring: {names}", reason="cycle")
