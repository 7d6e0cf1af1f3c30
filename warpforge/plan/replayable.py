"""The replayable form of a plot, the only one that a catalog may hold: nothing in it is of one machine alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from warpforge.model.atoms import Candidate, CatalogRef, Ingest, WareId
from warpforge.model.findings import Finding
from warpforge.model.plot import Plot, PlotInput, Protoformula, spell, unreplayable

from .refs import Ref

Replacements = Mapping[Ref, WareId | CatalogRef]

_ADVICE: Final = {
    "ingest": "it is another thing on another machine: release it as a ware of its own, or freeze it",
    "mount": "it is another thing on another machine: release it as a ware of its own",
    "candidate": "it stands for a release that was not made",
    "secret": "what depends on a secret nobody else can do again",
}


def why_not(plot: Plot, capsule: str = "/plot.v1") -> list[Finding]:
    """A finding for every input that keeps the plot from being replayable; pointers begin with ``capsule``."""
    return [
        Finding(capsule + path, f"{text}: {_ADVICE[text.partition(':')[0]]}", "replay")
        for path, text in unreplayable(plot)
    ]


def replayable(plot: Plot, replacements: Replacements) -> Plot:
    """The plot with what stands in for its ingests, candidates or catalog references; all else stays as written."""
    return replace(
        plot,
        inputs={label: _item(item, replacements) for label, item in plot.inputs.items()},
        steps={name: replace(step, body=_body(step.body, replacements)) for name, step in plot.steps.items()},
    )


def _body(body: Protoformula | Plot, replacements: Replacements) -> Protoformula | Plot:
    if isinstance(body, Plot):
        return replayable(body, replacements)
    return replace(body, inputs={port: _item(item, replacements) for port, item in body.inputs.items()})


def _item(item: PlotInput, replacements: Replacements) -> PlotInput:
    basis = replacements.get(item.basis) if isinstance(item.basis, Ingest | Candidate | CatalogRef) else None
    return item if basis is None else replace(item, text=spell(basis), basis=basis)
