"""What a document's schema does not say and yet can be known from the document alone.

Ports against what they take, pipes against the steps and labels they name. Not cycles: order is thought of in ``plan``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from .atoms import Literal, Pipe, SandboxPort, Secret
from .findings import ROOT, Finding, Place, pointer
from .formula import Action, Exec, Formula, FormulaInput, GatherDirective, Script
from .plot import Plot, PlotInput, Protoformula, Step, every_body

_MISSING: Final = "missing"


def check_formula(formula: Formula, place: Place = ROOT) -> list[Finding]:
    """Findings about a formula whose schema is right; pointers start at ``place``."""
    found: list[Finding] = []
    _check_ports(formula.inputs, (place, "inputs"), found)
    _check_action(formula.action, (place, "action"), found)
    _check_gathers(formula.action, formula.outputs, (place, "outputs"), found)
    return found


def check_plot(plot: Plot, place: Place = ROOT) -> list[Finding]:
    """Findings about a plot and its subplots, however deep, whose schema is right."""
    found: list[Finding] = []
    bodies = list(every_body(plot, place))
    for at, body, around in bodies:
        if isinstance(body, Plot):
            _check_inputs(body, around, (at, body.spelling), found)
        elif around is not None:
            _check_protoformula(body, around, at, found)
    for at, body, _ in bodies:  # a plot's outputs stand behind its steps
        if isinstance(body, Plot):
            _check_outputs(body, (at, "outputs"), found)
    return found


def _check_outputs(plot: Plot, place: Place, found: list[Finding]) -> None:
    for label, output in plot.outputs.items():
        if not output.pipe.step:
            _note(found, (place, label), "an output of a plot names a step: pipe:step:label")
        elif fault := _dangling(output.pipe, plot):
            _note(found, (place, label), fault, _MISSING)


def _check_inputs(plot: Plot, parent: Plot | None, place: Place, found: list[Finding]) -> None:
    for label, item in plot.inputs.items():
        if not isinstance(item.basis, Pipe):
            continue
        if parent is None:
            _note(found, (place, label), "a pipe leads nowhere here: no plot is around this one")
        elif fault := _dangling(item.basis, parent):
            _note(found, (place, label), fault, _MISSING)


def _check_protoformula(body: Protoformula, plot: Plot, place: Place, found: list[Finding]) -> None:
    at = (place, "inputs")
    for port, item in body.inputs.items():
        if isinstance(item.basis, Pipe):
            if fault := _dangling(item.basis, plot):
                _note(found, (at, port), fault, _MISSING)
            elif port.is_variable and not _may_be_text(item.basis, plot):
                _note(found, (at, port), f"{port} takes a text, and {item.text} is a ware")
    _check_ports(body.inputs, at, found)
    _check_action(body.action, (place, "action"), found)
    _check_gathers(body.action, body.outputs, (place, "outputs"), found)


def _check_ports(
    inputs: Mapping[SandboxPort, FormulaInput] | Mapping[SandboxPort, PlotInput], place: Place, found: list[Finding]
) -> None:
    for port, item in inputs.items():
        basis = item.basis
        if port[0] == "$":
            if not isinstance(basis, Literal | Secret | Pipe):
                _note(found, (place, port), f"{port} takes literal: or secret:, not {item.text}")
            elif isinstance(basis, Literal) and "\0" in basis.text:
                _note(found, (place, port), "the value of a variable holds no NUL byte")
        elif isinstance(basis, Literal) and port.path == "/":
            _note(found, (place, port), "the root is a directory, and a literal is a file")


def _check_action(action: Action, place: Place, found: list[Finding]) -> None:
    if isinstance(action, Exec):
        for number, word in enumerate(action.command):
            if "\0" in word:
                _note(found, (((place, "exec"), "command"), number), "a word of a command holds no NUL byte")
    elif isinstance(action, Script) and "\0" in action.interpreter:
        _note(found, ((place, "script"), "interpreter"), "a path holds no NUL byte")


def _check_gathers(action: Action, outputs: Mapping[str, GatherDirective], place: Place, found: list[Finding]) -> None:
    for label, gather in outputs.items():
        port = gather.source
        if port[0] != "$":
            continue
        at = (place, label)
        if not isinstance(action, Script):
            _note(found, (at, "from"), f"the value of {port} is known only after a script")
        elif not (port.variable.isascii() and port.variable.isidentifier()):
            _note(found, (at, "from"), f"{port} is not a name that a shell takes")
        if gather.packtype is not UNSET:
            _note(found, (at, "packtype"), f"{port} is a text: it is not packed")
        if gather.filters is not UNSET:
            _note(found, (at, "filters"), f"{port} is a text: it is not packed")


def _dangling(pipe: Pipe, plot: Plot) -> str:
    """Why the pipe leads nowhere in this plot, or an empty text."""
    if not pipe.step:
        return "" if pipe.label in plot.inputs else f"{pipe}: the plot has no input {pipe.label!r}{_known(plot.inputs)}"
    step = plot.steps.get(pipe.step)
    if step is None:
        return f"{pipe}: the plot has no step {pipe.step!r}{_known(plot.steps)}"
    outputs: Mapping[str, object] = step.body.outputs
    return "" if pipe.label in outputs else f"{pipe}: the step has no output {pipe.label!r}{_known(outputs)}"


def _known(names: Mapping[str, object]) -> str:
    if not names:
        return "; it has none"
    shown = ", ".join(list(names)[:10])
    return f"; it has {shown}" + (", ..." if len(names) > 10 else "")


def _may_be_text(pipe: Pipe, plot: Plot) -> bool:
    """False when the pipe surely brings a ware; True also when only the run can tell."""
    if not pipe.step:
        return isinstance(plot.inputs[pipe.label].basis, Literal | Secret | Pipe)
    step: Step = plot.steps[pipe.step]
    return isinstance(step.body, Plot) or step.body.outputs[pipe.label].source.is_variable


def _note(found: list[Finding], place: Place, message: str, reason: str = "meaning") -> None:
    found.append(Finding(pointer(place), message, reason))
