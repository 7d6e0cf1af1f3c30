"""Foresee: how far a plot gets from what is known already, and how long the rest would take. Nothing runs.

The **verdicts** of a step: ``hit`` (the memo answers), ``run``, ``fetch`` (it runs, and wares must be fetched first),
``replay`` (a ware that it needs is nowhere, but the plot that makes it is known), ``waits`` (its formula is not known
before an earlier step has run; it may still turn out to be a hit).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Final, NamedTuple

from warpforge.model.atoms import WareId
from warpforge.model.formula import Formula

from .plan import FormulaTask, Plan, RepackTask, Result, StepPath

HIT: Final = "hit"
RUN: Final = "run"
FETCH: Final = "fetch"
REPLAY: Final = "replay"
WAITS: Final = "waits"


class Foreseen(NamedTuple):
    """One step: its formula if it can be known, and its results if they are."""

    formula: Formula | None
    results: Mapping[str, Result] | None


def foresee(
    plan: Plan,
    recall: Callable[[FormulaTask], Mapping[str, Result] | None],
    repack: Callable[[RepackTask], WareId | None],
) -> dict[StepPath, Foreseen]:
    """Every step of a plot, in its order. ``recall`` and ``repack`` answer from what is known, or not at all."""
    seen: dict[StepPath, Foreseen] = {path: Foreseen(None, None) for path in plan.steps}
    while tasks := plan.ready():
        for task in tasks:
            if isinstance(task, FormulaTask):
                results = recall(task)
                seen[task.path] = Foreseen(task.formula, results)
            else:
                ware = repack(task)
                results = None if ware is None else {task.label: ware}
            if results is not None:
                plan.finished(task, results)
    return seen


Needs = Mapping[StepPath, Iterable[StepPath]]


def critical_path(seconds: Mapping[StepPath, float], needs: Needs) -> list[StepPath]:
    """The chain of steps that takes longest, first to last; steps in ``seconds`` come behind those they need."""
    ends: dict[StepPath, float] = {}
    before: dict[StepPath, StepPath | None] = {}
    for path, own in in_order(seconds, needs):
        last = max((need for need in needs.get(path, ()) if need in ends), key=lambda need: ends[need], default=None)
        before[path] = last
        ends[path] = own + (ends[last] if last is not None else 0.0)
    at: StepPath | None = max(ends, key=lambda path: ends[path], default=None)
    found: list[StepPath] = []
    while at is not None:
        if seconds[at]:
            found.append(at)
        at = before[at]
    return found[::-1]


def in_order(seconds: Mapping[StepPath, float], needs: Needs) -> list[tuple[StepPath, float]]:
    """Every step behind all that it needs."""
    waits = {path: {need for need in needs.get(path, ()) if need in seconds} for path in seconds}
    frees: dict[StepPath, list[StepPath]] = {}
    for path, missing in waits.items():
        for need in missing:
            frees.setdefault(need, []).append(path)
    ready = [path for path, missing in waits.items() if not missing]
    found: list[tuple[StepPath, float]] = []
    for path in ready:  # it grows meanwhile
        found.append((path, seconds[path]))
        for freed in frees.get(path, ()):
            waits[freed].discard(path)
            if not waits[freed]:
                ready.append(freed)
    return found


def makespan(seconds: Mapping[StepPath, float], needs: Needs, jobs: int) -> float:
    """How long all takes with so many at once, each begun when it can be, in the order in which they become ready."""
    order = in_order(seconds, needs)
    waits = {path: {need for need in needs.get(path, ()) if need in seconds} for path, _ in order}
    frees: dict[StepPath, list[StepPath]] = {}
    for path, missing in waits.items():
        for need in missing:
            frees.setdefault(need, []).append(path)
    ready = [path for path, missing in waits.items() if not missing]
    running: list[tuple[float, int, StepPath]] = []
    now, begun = 0.0, 0
    while begun < len(ready) or running:
        while begun < len(ready) and len(running) < jobs:
            path = ready[begun]
            heappush(running, (now + seconds[path], begun, path))
            begun += 1
        now, _, ended = heappop(running)
        for freed in frees.get(ended, ()):
            waits[freed].discard(ended)
            if not waits[freed]:
                ready.append(freed)
    return now
