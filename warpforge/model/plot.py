"""Plots: a graph of steps, each a protoformula or a plot again; and their results.

Two spellings are read, and each is kept as written: the shipped schema's (``inputs``, ``protoformula``, ``plot``) and
the documentation's (``input``, ``formula``, ``subplot``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from .atoms import Candidate, CatalogRef, FilterMap, Ingest, Literal, Mount, Pipe, SandboxPort, Secret, WareId
from .findings import ROOT, Place, pointer
from .formula import Action, GatherDirective, input_serial

PlotBasis = WareId | Mount | Literal | Pipe | CatalogRef | Ingest | Candidate | Secret

# spellings of a step, and whether each is a plot
STEP_SPELLINGS: Final = {"protoformula": False, "formula": False, "plot": True, "subplot": True}
INPUT_SPELLINGS: Final = ("inputs", "input")


class PlotInput(msgspec.Struct, frozen=True):
    """One input of a plot or of a protoformula: simple (``basis`` alone, spelled ``text``) or complex."""

    text: str
    basis: PlotBasis
    filters: FilterMap | UnsetType = UNSET
    is_complex: bool = False

    @classmethod
    def of(cls, basis: PlotBasis, filters: FilterMap | UnsetType = UNSET) -> PlotInput:
        """Simple without filters, complex with them (even empty ones)."""
        return cls(spell(basis), basis, filters, filters is not UNSET)

    def to_serial(self) -> Any:
        return input_serial(self.text, self.filters, is_complex=self.is_complex)


class PlotOutput(msgspec.Struct, frozen=True):
    """A result of the plot: the output of a step, as it is or (complex) packed again through filters."""

    text: str
    pipe: Pipe
    filters: FilterMap | UnsetType = UNSET
    is_complex: bool = False

    @classmethod
    def of(cls, pipe: Pipe, filters: FilterMap | UnsetType = UNSET) -> PlotOutput:
        return cls(str(pipe), pipe, filters, filters is not UNSET)

    def to_serial(self) -> Any:
        return input_serial(self.text, self.filters, is_complex=self.is_complex)


class Protoformula(msgspec.Struct, frozen=True):
    """A formula whose inputs are not known yet."""

    inputs: dict[SandboxPort, PlotInput]
    action: Action
    outputs: dict[str, GatherDirective]

    def to_serial(self) -> dict[str, Any]:
        return {
            "inputs": {str(port): item.to_serial() for port, item in self.inputs.items()},
            "action": self.action.to_serial(),
            "outputs": {label: gather.to_serial() for label, gather in self.outputs.items()},
        }


class Step(msgspec.Struct, frozen=True):
    """One step: a protoformula or a plot, under the key ``spelling``."""

    body: Protoformula | Plot
    spelling: str

    @classmethod
    def of(cls, body: Protoformula | Plot) -> Step:
        """Spelled as the shipped schema does."""
        return cls(body, "plot" if isinstance(body, Plot) else "protoformula")

    def to_serial(self) -> dict[str, Any]:
        return {self.spelling: self.body.to_serial()}


class Plot(msgspec.Struct, frozen=True):
    """``inputs`` by label, ``steps`` by name, ``outputs`` by label; ``spelling`` is the key of the inputs."""

    inputs: dict[str, PlotInput]
    steps: dict[str, Step]
    outputs: dict[str, PlotOutput]
    spelling: str = "inputs"

    def to_serial(self) -> dict[str, Any]:
        """The representation, without the capsule."""
        return {
            self.spelling: {label: item.to_serial() for label, item in self.inputs.items()},
            "steps": {name: step.to_serial() for name, step in self.steps.items()},
            "outputs": {label: item.to_serial() for label, item in self.outputs.items()},
        }


class PlotResults(msgspec.Struct, frozen=True):
    """What a plot gave, by output label."""

    results: dict[str, WareId | Literal]

    def to_serial(self) -> dict[str, Any]:
        return {label: str(result) for label, result in self.results.items()}


def spell(basis: PlotBasis) -> str:
    """The text of an input, scheme included."""
    if isinstance(basis, WareId):
        return f"ware:{basis}"
    if isinstance(basis, CatalogRef):
        return f"catalog:{basis}"
    return str(basis)


def every_body(plot: Plot, place: Place = ROOT) -> Iterator[tuple[Place, Protoformula | Plot, Plot | None]]:
    """The plot, its protoformulas and its subplots however deep: each with its place and the plot around it."""
    # a stack, since subplots nest; reversed, so that they come in document order
    waiting: list[tuple[Place, Protoformula | Plot, Plot | None]] = [(place, plot, None)]
    while waiting:
        at, body, around = waiting.pop()
        yield at, body, around
        if isinstance(body, Plot):
            steps = [((((at, "steps"), name), step.spelling), step.body, body) for name, step in body.steps.items()]
            waiting.extend(reversed(steps))


def every_input(plot: Plot, place: Place = ROOT) -> Iterator[tuple[Place, PlotInput]]:
    """Every input of the plot, of its protoformulas and of its subplots, with its place (from the plot)."""
    for at, body, _ in every_body(plot, place):
        key = body.spelling if isinstance(body, Plot) else "inputs"
        for name, item in body.inputs.items():
            yield ((at, key), name), item


def unreplayable(plot: Plot) -> list[tuple[str, str]]:
    """(JSON pointer, text) of every input that keeps the plot from being replayable: what only one machine has.

    These are ``ingest:``, ``mount:``, ``candidate:`` and ``secret:``. Pointers start at the plot, not at its capsule.
    """
    return [
        (pointer(place), item.text)
        for place, item in every_input(plot)
        if isinstance(item.basis, Ingest | Mount | Candidate | Secret)
    ]
