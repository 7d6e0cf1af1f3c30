"""Pin: what the names in a plot stand for now. All missing names are reported together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Invalid, Missing
from warpforge.model.atoms import Candidate, CatalogRef, Ingest, Literal, WarehouseAddr, WareId
from warpforge.model.plot import Plot, PlotBasis, PlotResults
from warpforge.plan.plan import Pins, Result
from warpforge.plan.refs import Ref, refs

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Lookup, Pin
    from warpforge.engine.ingest import Ingester
    from warpforge.engine.look import Looker


class Pinner:
    """Resolves names, and remembers from which modules each ware came: that tells its mirrors.

    ``claim`` is told the dual ids that releases give. ``allowed``: hazardous releases that may be used all the same;
    None where nothing is used, so that all may be looked at. ``meet`` hears what references mean now.
    """

    def __init__(
        self,
        lookup: Lookup,
        ingester: Ingester | Looker,
        built: Callable[[str], PlotResults | None],
        claim: Callable[[WareId, str], None],
        allowed: Callable[[], frozenset[str]] | None = None,
        meet: Callable[[Iterable[Pin]], None] = lambda pins: None,
    ) -> None:
        self._lookup = lookup
        self._ingester = ingester
        self._built = built
        self._claim = claim
        self._allowed = allowed
        self._meet = meet
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
        self._meet(pin for ref, pin in named.items() if not (then and ref in then))
        for ref, pin in named.items():
            if then and ref in then:
                self.belong(ref.module, (pin.ware, then[ref]))
                found[ref] = then[ref]
            else:
                found[ref] = self._take(pin)
        for kind in (Candidate, Ingest):  # what is not there is told before anything is packed
            found.update((ref, self.made(ref, base)) for ref in wanted if isinstance(ref, kind))
        self.pinned.update((ref, pin) for ref, pin in found.items() if isinstance(pin, WareId | Literal))
        return found

    def wares(self, names: Iterable[CatalogRef], *, use: bool) -> dict[CatalogRef, WareId]:
        """What names stand for, all that are missing told together; ``use``: hazardous ones are refused.

        Errors: ``catalog-missing-entry``, ``catalog-invalid`` (hazard, others), ``ware-mismatch`` (symlinks).
        """
        named = self._lookup.pin(names)
        if use:
            self._mind_hazards(named.values())
        self._meet(named.values())
        return {ref: self._take(pin) for ref, pin in named.items()}

    def made(self, ref: PlotBasis, base: Path) -> Result | Ingest | Candidate:
        """What a candidate or an ingest is. Errors: ``catalog-missing-entry``, ``invalid``; those of ingests."""
        if isinstance(ref, Candidate):
            return self._candidate(ref)
        if isinstance(ref, Ingest):
            return self._ingester.ingest(ref, base)
        raise Invalid("invalid", f"{ref} is a name within a plot only", value=str(ref))

    def _take(self, pin: Pin) -> WareId:
        """Remember what a name stood for, and what its release says of the ware."""
        self.belong(pin.ref.module, (pin.ware,))
        if dual := pin.release.dual(pin.ref.item):
            self._claim(pin.ware, dual)
        return pin.ware

    def find(self, ref: CatalogRef) -> WareId | None:
        """What one name stands for; None when no catalog knows it. Errors: ``catalog-invalid``, ``ware-mismatch``."""
        pin = self._lookup.find(ref)
        if pin is None:
            return None
        self._mind_hazards((pin,))
        self._meet((pin,))
        self.pinned[ref] = self._take(pin)
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
        """A module names these, or its plot takes them by their ids: its mirrors may have them."""
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
        if results and result is None:
            gave = ", ".join(results.results) or "nothing"
            message = f"{candidate}: the module {candidate.module} has no output {candidate.item}; it gave {gave}"
            raise Missing("catalog-missing-entry", message, catalogRef=candidate)
        if result is None:
            raise Missing(
                "catalog-missing-entry",
                f"{candidate}: the module {candidate.module} gave no {candidate.item}, neither in this run nor in its "
                "last one here: run it first, or both with `warpforge run ./...`",
                catalogRef=candidate,
            )
        return result
