"""The order of the steps of one plot: topological, deterministic, without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from warpforge.errors import Invalid
from warpforge.model.atoms import Pipe
from warpforge.model.findings import ROOT, Finding, pointer
from warpforge.model.plot import Plot, Step, every_body


def order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The names, every one behind all that it needs, else by name.

    A depth-first walk over sorted names, as the original has it, so that the order is the same everywhere.
    Names that are needed and not there are ignored. Errors: ``plot-invalid`` naming a cycle as ``a -> b -> a``.
    """
    done: dict[str, None] = {}
    open_: dict[str, None] = {}
    for start in sorted(needs):
        stack = [(start, iter(sorted(needs[start])))] if start not in done else []
        if stack:
            open_[start] = None
        while stack:
            name, rest = stack[-1]
            for other in rest:
                if other in open_:
                    raise _cycle([*open_], other)
                if other in needs and other not in done:
                    open_[other] = None
                    stack.append((other, iter(sorted(needs[other]))))
                    break
            else:
                stack.pop()
                del open_[name]
                done[name] = None
    return [*done]


def _cycle(open_: list[str], again: str) -> Invalid:
    ring = [*open_[open_.index(again) :], again]
    text = " -> ".join(ring)
    return Invalid("plot-invalid", f"steps need each other in a ring: {text}", reason="cycle", cycle=text)


def rings(plot: Plot) -> list[Finding]:
    """A finding for every (sub)plot whose steps need each other in a ring; pointers start at the file's root."""
    found: list[Finding] = []
    for at, body, _ in every_body(plot, (ROOT, "plot.v1")):
        if not isinstance(body, Plot):
            continue
        try:
            order({name: siblings(step) for name, step in body.steps.items()})
        except Invalid as error:
            found.append(Finding(pointer((at, "steps")), error.message, error.reason))
    return found


def siblings(step: Step) -> list[str]:
    """The steps beside it that a step pipes from."""
    return [e.basis.step for e in step.body.inputs.values() if isinstance(e.basis, Pipe) and e.basis.step]
