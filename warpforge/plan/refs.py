"""What a plot names outside of itself, and where."""

from __future__ import annotations

from warpforge.model.atoms import Candidate, CatalogRef, Ingest
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
