"""Pin: what the names in a plot stand for now. All missing names are reported together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Missing
from warpforge.model.atoms import Candidate, CatalogRef, Ingest, Literal, WarehouseAddr, WareId
from warpforge.model.plot import Plot, PlotResults
from warpforge.plan.plan import Pins, Result
from warpforge.plan.refs import Ref, refs

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Lookup, Pin
    from warpforge.engine.ingest import Ingester
    from warpforge.engine.look import Looker


class Pinner:
    """Resolves names, and remembers from which modules each ware came: that tells its mirrors.

    ``claim`` is told the dual ids that releases give. ``allowed``: hazardous releases that may be used all the same;
    None where nothing is used, so that all may be looked at.
    """

    def __init__(
        self,
        lookup: Lookup,
        ingester: Ingester | Looker,
        built: Callable[[str], PlotResults | None],
        claim: Callable[[WareId, str], None],
        allowed: Callable[[], frozenset[str]] | None = None,
    ) -> None:
        self._lookup = lookup
        self._ingester = ingester
        self._built = built
        self._claim = claim
        self._allowed = allowed
        self.hazards: Final[dict[str, str]] = {}  # hazardous releases that were looked up, and why they are
        self.pinned: Final[dict[Ref, Result]] = {}  # what each name stood for when it was last looked up
        self._modules: dict[WareId, dict[str, None]] = {}
        self.to_come: set[str] = set()  # modules whose results are not known yet, and will be: they stay candidates

    def pins(self, plot: Plot, base: Path, then: Mapping[CatalogRef, WareId] | None = None) -> Pins:
        """Every ref of a plot and what it stands for; ``then``: of some, what it stood for once.

        Errors: ``catalog-missing-entry``, ``catalog-invalid`` (hazard, others), ``ware-mismatch`` (symlinks), and
        those of ingests.
        """
        wanted = refs(plot)
        found: dict[Ref, Result | Ingest | Candidate] = {}
        named = self._lookup.pin(ref for ref in wanted if isinstance(ref, CatalogRef))
        self._mind_hazards(named.values())
        for ref, pin in named.items():
            found[ref] = pin.ware
            self._modules.setdefault(pin.ware, {})[ref.module] = None
            if then and ref in then:
                found[ref] = then[ref]
                self._modules.setdefault(then[ref], {})[ref.module] = None
            elif dual := pin.release.dual(ref.item):
                self._claim(pin.ware, dual)
        for candidate in wanted:
            if isinstance(candidate, Candidate):
                found[candidate] = self._candidate(candidate)
        for ingest in wanted:
            if isinstance(ingest, Ingest):
                found[ingest] = self._ingester.ingest(ingest, base)
        self.pinned.update((ref, pin) for ref, pin in found.items() if isinstance(pin, WareId | Literal))
        return found

    def find(self, ref: CatalogRef) -> WareId | None:
        """What one name stands for; None when no catalog knows it. Errors: ``catalog-invalid``, ``ware-mismatch``."""
        pin = self._lookup.find(ref)
        if pin is None:
            return None
        self._mind_hazards((pin,))
        self._modules.setdefault(pin.ware, {})[ref.module] = None
        if dual := pin.release.dual(ref.item):
            self._claim(pin.ware, dual)
        self.pinned[ref] = pin.ware
        return pin.ware

    def _mind_hazards(self, pins: Iterable[Pin]) -> None:
        marked = [pin for pin in pins if pin.release.hazard is not None]
        if not marked:
            return
        from warpforge.engine.hazards import hazards_of, refuse_hazards

        self.hazards.update(hazards_of(marked))
        if self._allowed is not None:
            refuse_hazards(marked, self._allowed)

    def belong(self, module: str, wares: Iterable[WareId]) -> None:
        """A module's plot takes these by their ids: its mirrors may have them."""
        for ware in wares if module else ():
            self._modules.setdefault(ware, {})[module] = None

    def modules(self, ware: WareId) -> list[str]:
        """The modules by which a ware was named so far."""
        return [*self._modules.get(ware, ())]

    def mirrors(self, ware: WareId) -> list[WarehouseAddr]:
        """Where catalogs say that a pinned ware may be had, best first."""
        return self._lookup.mirrors(ware, self._modules.get(ware, ()))

    def _candidate(self, candidate: Candidate) -> Result | Candidate:
        if candidate.module in self.to_come:
            return candidate
        results = self._built(candidate.module)
        result = results.results.get(candidate.item) if results else None
        if result is None:
            raise Missing(
                "catalog-missing-entry",
                f"{candidate}: the module {candidate.module} gave no {candidate.item}, neither in this run nor in its "
                "last one here: run it first, or both with `warpforge run ./...`",
                catalogRef=candidate,
            )
        return result
