"""What a plot names outside of itself, and where."""

from __future__ import annotations

from collections.abc import Iterator

from warpforge.model.atoms import Candidate, CatalogRef, Ingest, WareId
from warpforge.model.findings import pointer
from warpforge.model.plot import Plot, every_input

Ref = CatalogRef | Ingest | Candidate


def refs(plot: Plot) -> dict[Ref, list[str]]:
    """Every name that must be pinned before the plot can be planned, with the JSON pointers where it stands."""
    found: dict[Ref, list[str]] = {}
    for place, entry in every_input(plot):
        if isinstance(entry.basis, CatalogRef | Ingest | Candidate):
            found.setdefault(entry.basis, []).append(pointer(place))
    return found


def wares(plot: Plot) -> Iterator[WareId]:
    """Every ware that a plot takes by its id."""
    yield from (item.basis for _, item in every_input(plot) if isinstance(item.basis, WareId))
