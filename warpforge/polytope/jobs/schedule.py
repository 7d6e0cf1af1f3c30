"""The state of the steps of one job. No I/O: what can begin now comes out, what has ended goes in.

A step waits for others, each having ended so (``After``); what can no longer come true cancels it. Steps may be added
while the job runs, by one of its steps perhaps, whose they are then. Nothing is ever taken away.

    queued -> starting -> running -> success | failed | stopped        (stopping, between, when it is told to stop)
    queued -> canceled
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from warpforge.errors import Invalid
from warpforge.plan.order import order
from warpforge.polytope.events import ENDED, StepState
from warpforge.polytope.nouns import After, Condition

FULFILS: Final[dict[Condition, frozenset[str]]] = {
    "success": frozenset({"success"}),
    "failed": frozenset({"failed"}),
    "always": ENDED,
}


class Asked(NamedTuple):
    """A step as it is asked for: its id, unless that is taken, and what it waits for among the steps added with it."""

    id: str
    after: Sequence[After] = ()


class Change(NamedTuple):
    """A step is in another state now, and why."""

    step: str
    state: StepState
    why: str = ""


class _Step:
    __slots__ = ("after", "id", "parent", "state")

    def __init__(self, id: str, parent: str, after: tuple[After, ...]) -> None:
        self.id = id
        self.parent = parent
        self.after = after
        self.state: StepState = "queued"


class Schedule:
    """The steps of a job."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._frees: dict[str, list[str]] = {}
        self._ready: list[str] = []
        self._changes: list[Change] = []
        self.is_stopped = False

    # what is so

    @property
    def done(self) -> bool:
        """Whether every step has ended."""
        return all(step.state in ENDED for step in self._steps.values())

    @property
    def states(self) -> dict[str, StepState]:
        """By step, in the order in which they were added."""
        return {id: step.state for id, step in self._steps.items()}

    def state(self, step: str) -> StepState:
        return self._steps[step].state

    def parent(self, step: str) -> str:
        """The step that added it; "" when none did."""
        return self._steps[step].parent

    def origin(self, step: str) -> str:
        """The step without whose being added it would not be."""
        while parent := self._steps[step].parent:
            step = parent
        return step

    def outcome(self) -> StepState:
        """What the job is, as its steps are: failed as soon as one has failed."""
        states = {step.state for step in self._steps.values()}
        if "failed" in states:
            return "failed"
        if not self.done:
            return "stopping" if self.is_stopped else "running"
        return "stopped" if "stopped" in states or self.is_stopped else "success"

    def has_others(self, waiting: Collection[str], barren: Collection[str]) -> bool:
        """Whether steps run, or will, that neither wait for something nor for one that does, and are none of
        ``barren``."""
        stuck = {*barren}
        for step in waiting:
            while step:  # and whose code waits for it
                stuck.add(step)
                step = self._steps[step].parent
        return any(step.state in ("starting", "running") and step.id not in stuck for step in self._steps.values())

    # what comes out

    def ready(self) -> list[str]:
        """The steps that may begin, since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def changes(self) -> list[Change]:
        """What changed since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    # what goes in

    def add(self, asked: Sequence[Asked], parent: str = "") -> dict[str, str]:
        """More steps, which wait only for each other; their ids, by those asked for.

        Errors: ``job-invalid``, reason ``after`` when one waits for a step that is not among them, ``cycle`` when
        steps wait for each other in a circle.
        """
        names = self._name(asked)
        _refuse_strangers(asked)
        _refuse_cycles({step.id: [after.step for after in step.after] for step in asked})
        first = dict(reversed([(step.id, name) for step, name in zip(asked, names, strict=True)]))
        for step, name in zip(asked, names, strict=True):
            after = tuple(After(first[one.step], one.condition) for one in step.after)
            self._steps[name] = _Step(name, parent, after)
            for one in after:
                self._frees.setdefault(one.step, []).append(name)
            self._changes.append(Change(name, "queued"))
        for name in names:
            self._consider(name)
        return first

    def running(self, step: str) -> None:
        """What it does is under way."""
        if self._steps[step].state == "starting":
            self._move(step, "running")

    def finished(self, step: str, state: StepState, why: str = "") -> None:
        """It has ended: success, failed, stopped or canceled."""
        self._end(step, state, why)

    def cancel(self, step: str, why: str) -> None:
        """It need not begin any more; one that has begun is left alone."""
        if self._steps[step].state == "queued" or step in self._ready:
            self._ready = [one for one in self._ready if one != step]
            self._end(step, "canceled", why)

    def stop(self) -> list[str]:
        """Nothing begins any more; gives the steps that run and should be told so."""
        self.is_stopped = True
        told = []
        for step in self._steps.values():
            if step.state == "queued" or step.id in self._ready:
                self._move(step.id, "canceled", "the job is stopped")
            elif step.state in ("starting", "running"):
                self._move(step.id, "stopping")
                told.append(step.id)
        self._ready.clear()
        return told

    # the walk

    def _move(self, step: str, state: StepState, why: str = "") -> None:
        if self._steps[step].state != state:
            self._steps[step].state = state
            self._changes.append(Change(step, state, why))

    def _end(self, step: str, state: StepState, why: str) -> None:
        if self._steps[step].state not in ENDED:
            self._move(step, state, why)
            self._settle([step])

    def _settle(self, news: list[str]) -> None:
        """Whoever waited for what has ended is looked at; one that is canceled for it is news again."""
        while news:
            step = news.pop(0)
            for dependent in self._frees.get(step, ()):
                if self._consider(dependent):
                    news.append(dependent)

    def _consider(self, step: str) -> bool:
        """Let it begin, or cancel it, if it can be told; gives whether it was canceled."""
        one = self._steps[step]
        if one.state != "queued":
            return False
        why = "the job is stopped" if self.is_stopped else self._hopeless(one)
        if why:
            self._move(step, "canceled", why)
            return True
        if all(self._steps[after.step].state in ENDED for after in one.after):
            self._move(step, "starting")
            self._ready.append(step)
        return False

    def _hopeless(self, one: _Step) -> str:
        for after in one.after:
            state = self._steps[after.step].state
            if state in ENDED and state not in FULFILS[after.condition]:
                was = {"failed": "failed", "success": "did not fail", "canceled": "was not run"}.get(state, state)
                return f"{after.step} {was}"
        return ""

    def _name(self, asked: Sequence[Asked]) -> list[str]:
        """An id that is taken gets a number."""
        taken, names = {*self._steps}, []
        for step in asked:
            name, number = step.id, 1
            while name in taken:
                number += 1
                name = f"{step.id}-{number}"
            taken.add(name)
            names.append(name)
        return names


def _refuse_strangers(asked: Sequence[Asked]) -> None:
    known = {step.id for step in asked}
    for step in asked:
        for after in step.after:
            if after.step not in known:
                there = ", ".join(sorted(known - {step.id})) or "no other step"
                what = f"step {step.id} is to run after {after.step}, which is not there: there is {there}"
                raise Invalid("job-invalid", what, reason="after", step=step.id, after=after.step)


def _refuse_cycles(needs: Mapping[str, Sequence[str]]) -> None:
    try:
        order(needs)
    except Invalid as error:
        circle = error.details["cycle"]
        what = f"these steps wait for each other: {circle}"
        raise Invalid("job-invalid", what, reason="cycle", cycle=circle) from None
