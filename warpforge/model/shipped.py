"""What the schema that the original shipped does not read: its readers refuse a document that holds any of it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from .atoms import Candidate, Ingest, Secret
from .findings import ROOT, Finding, Place, pointer
from .formula import Exec, Noop, Script
from .plot import Plot, Protoformula, every_body, every_input

_REASON = "extended"


def beyond_shipped(plot: Plot, place: Place = ROOT) -> Iterator[Finding]:
    """Every place of a plot that the shipped schema does not read; pointers start at ``place``."""
    for at, body, _ in every_body(plot, place):
        if isinstance(body, Plot):
            yield from _beyond_in_plot(body, at)
        else:
            yield from _beyond_in_action(body, (at, "action"))
    for at, item in every_input(plot, place):
        basis = item.basis
        if isinstance(basis, Candidate | Secret) or (isinstance(basis, Ingest) and basis.kind != "git"):
            yield _finding(at, f"it does not know {item.text}")


def _beyond_in_plot(plot: Plot, place: Place) -> Iterator[Finding]:
    if plot.spelling != "inputs":
        yield _finding((place, plot.spelling), "it spells this `inputs`")
    for name, step in plot.steps.items():
        wanted = "plot" if isinstance(step.body, Plot) else "protoformula"
        if step.spelling != wanted:
            yield _finding((((place, "steps"), name), step.spelling), f"it spells this `{wanted}`")
    for label, output in plot.outputs.items():
        if output.is_complex:
            yield _finding(((place, "outputs"), label), "an output of a plot is a plain pipe to it")


def _beyond_in_action(body: Protoformula, place: Place) -> Iterator[Finding]:
    action = body.action
    if isinstance(action, Noop):
        yield _finding((place, "noop"), "it knows no noop")
    if isinstance(action, Exec | Script):
        kind = "exec" if isinstance(action, Exec) else "script"
        for field in ("cwd", "userinfo"):
            if getattr(action, field) is not UNSET:
                yield _finding(((place, kind), field), f"it only reserves {field}")


def _finding(place: Place, message: str) -> Finding:
    return Finding(pointer(place), f"readers of the shipped schema refuse this: {message}", _REASON)
