"""Release: what a module's plot gives gets a name in a catalog, and the plot is kept beside it as its replay.

run the plot · put what stands for good in place of candidates and frozen ingests · write all of it in one swap

A candidate becomes the release that its label names: the module that made it is released first, under that label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from warpforge.catalog.edit import edit
from warpforge.errors import Failed, Invalid, Missing
from warpforge.model.atoms import Candidate, CatalogRef, Ingest, WareId
from warpforge.model.catalog import SIZE, Release
from warpforge.model.findings import ROOT, invalid_document
from warpforge.model.plot import Plot, PlotResults
from warpforge.plan.refs import refs
from warpforge.plan.replayable import replayable, why_not

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.engine.engine import Engine
    from warpforge.plan.refs import Ref
    from warpforge.plan.replayable import Replacements
    from warpforge.workspace.targets import Target


class How(NamedTuple):
    """``freeze``: ingests become the wares that they were. ``extended``: also what the shipped schema does not read.

    ``force``: replace a release that says something else. ``metadata`` is written beside the replay's id.
    ``duals``: also say in ``ztar.ITEM`` which tree a ware has whose own id does not cover all of it.
    ``sizes``: also say in ``size.ITEM`` how many bytes it has when it is packed, for whoever lacks it and is offline.
    """

    freeze: bool = False
    extended: bool = False
    force: bool = False
    duals: bool = False
    sizes: bool = False
    metadata: Mapping[str, str] = {}


class Released(NamedTuple):
    """One release as it was written. ``changed``: false when it was there already, word for word."""

    module: str
    release: Release
    changed: bool


class Releaser:
    """Releases modules into one catalog."""

    def __init__(self, engine: Engine, catalog: Catalog, how: How) -> None:
        self._engine = engine
        self._catalog = catalog
        self._how = how
        self._open: list[str] = []
        self._made: list[Released] = []

    def release(self, target: Target, name: str) -> list[Released]:
        """Run a module's plot and release its results; those of its candidates come first.

        Errors: ``plot-invalid`` (replay, extended: all places), ``already-exists``, ``catalog-missing-entry``, and
        those of running and writing.
        """
        plot, where = self._engine.load(target)
        module = where.plot
        if not module:
            raise Invalid("module-invalid", f"{target.path}: a module without a name cannot be released")
        if module in self._open:
            ring = " -> ".join([*self._open, module])
            raise Invalid("plot-invalid", f"modules name each other's results in a ring: {ring}", reason="cycle")
        self._check(plot, target)
        self._open.append(module)
        for candidate in _candidates(plot):
            self._release_candidate(candidate)
        results = self._engine.run(target)
        self._open.pop()
        assert isinstance(results, PlotResults)
        items = _items(results, target)
        replay = replayable(plot, self._replacements(plot))
        self._made.append(self._write(module, name, items, replay))
        self._remember(plot, self._made[-1])
        return self._made

    def _check(self, plot: Plot, target: Target) -> None:
        """All that keeps a plot out of a catalog, before anything runs."""
        from warpforge.model.shipped import beyond_shipped

        spared = ("candidate:", "ingest:") if self._how.freeze else ("candidate:",)
        found = [finding for finding in why_not(plot) if not finding.message.startswith(spared)]
        if not self._how.extended:
            stays = [finding.path for finding in why_not(plot)]
            beyond = beyond_shipped(plot, (ROOT, "plot.v1"))
            said = "; --extended releases it all the same"
            found += [one._replace(message=one.message + said) for one in beyond if one.path not in stays]
        if found:
            raise invalid_document("plot-invalid", str(target.plot), found)

    def _release_candidate(self, candidate: Candidate) -> None:
        from warpforge.engine.modules import find_module

        ref = _ref(candidate)
        known = self._catalog.release(ref.module, ref.release)
        if known is not None and ref.item in known.items:
            return
        maker = find_module(candidate.module, self._engine.stack.root.path)
        if maker is None:
            raise Missing(
                "catalog-missing-entry",
                f"{candidate}: the catalog {self._catalog.name} has no {ref}, and no module here is called "
                f"{candidate.module}: release it first",
                catalogRef=ref,
            )
        self.release(maker, candidate.label)

    def _replacements(self, plot: Plot) -> Replacements:
        found: dict[Ref, WareId | CatalogRef] = {}
        for ref in refs(plot):
            if isinstance(ref, CatalogRef):
                continue
            ware = self._engine.pinned(ref)
            assert isinstance(ware, WareId)
            found[ref] = self._checked(ref, ware) if isinstance(ref, Candidate) else ware
        return found

    def _checked(self, candidate: Candidate, ware: WareId) -> CatalogRef:
        """The reference of a candidate, which must say what the plot was run with."""
        ref = _ref(candidate)
        known = self._catalog.release(ref.module, ref.release)
        said = known.items.get(ref.item) if known else None
        if said != ware:
            raise Failed(
                "already-exists",
                f"{candidate} was {ware} in this run, and {ref} is {said or 'nothing'} in the catalog "
                f"{self._catalog.name}: choose another label for it",
                catalogRef=ref,
                wareId=said,
            )
        return ref

    def _duals(self, items: Mapping[str, WareId]) -> dict[str, str]:
        """What the store knows of the trees of wares whose ids say less."""
        if not self._how.duals:
            return {}
        known = {item: self._engine.store.duals.get(ware) for item, ware in items.items()}
        return {f"ztar.{item}": dual for item, dual in known.items() if dual is not None}

    def _sizes(self, items: Mapping[str, WareId]) -> dict[str, str]:
        """How large the packed wares are here."""
        if not self._how.sizes:
            return {}
        warehouse = self._engine.store.warehouse
        paths = {item: warehouse.find(ware) for item, ware in items.items()}
        return {f"{SIZE}.{item}": str(path.stat().st_size) for item, path in paths.items() if path is not None}

    def _write(self, module: str, name: str, items: dict[str, WareId], replay: Plot) -> Released:
        with edit(self._catalog, module) as changed:
            metadata = {
                **self._how.metadata,
                **self._duals(items),
                **self._sizes(items),
                "replay": changed.put_replay(replay),
            }
            made = Release(name, items, metadata)
            known = changed.release(name)
            if known is not None and known != made and not self._how.force:
                raise Failed(
                    "already-exists",
                    f"{module}:{name} is in the catalog {self._catalog.name} already, and says something else"
                    f"{_difference(known, made)}; choose another name, or use --force to replace it",
                    module=module,
                    release=name,
                )
            changed.put_release(made)
        return Released(module, made, known != made)

    def _remember(self, plot: Plot, released: Released) -> None:
        """What the references of the replay stood for when the plot was run."""
        pins = {ref: self._engine.pinned(ref) for ref in refs(plot) if not isinstance(ref, Ingest)}
        named = {_ref(ref) if isinstance(ref, Candidate) else ref: ware for ref, ware in pins.items()}
        wares = {ref: ware for ref, ware in named.items() if isinstance(ware, WareId)}
        self._engine.witness.remember_pins(released.module, released.release, wares)


def _candidates(plot: Plot) -> list[Candidate]:
    return [ref for ref in refs(plot) if isinstance(ref, Candidate)]


def _ref(candidate: Candidate) -> CatalogRef:
    return CatalogRef(candidate.module, candidate.label, candidate.item)


def _items(results: PlotResults, target: Target) -> dict[str, WareId]:
    """Errors: ``plot-invalid`` for results that a release cannot hold."""
    from warpforge.model.findings import Finding
    from warpforge.model.names import is_item_name

    found: list[Finding] = []
    items: dict[str, WareId] = {}
    for label, result in results.results.items():
        at = f"/plot.v1/outputs/{label}"
        if not isinstance(result, WareId):
            found.append(Finding(at, "its value is a text: only wares can be released", "literal"))
        elif not is_item_name(label):
            found.append(Finding(at, f"{label!r} cannot be the name of an item", "name"))
        else:
            items[label] = result
    if not results.results:
        found.append(Finding("/plot.v1/outputs", "the plot has no outputs: there is nothing to release", "empty"))
    if found:
        raise invalid_document("plot-invalid", str(target.plot), found)
    return items


def _difference(known: Release, made: Release) -> str:
    labels = [label for label in {**known.items, **made.items} if known.items.get(label) != made.items.get(label)]
    if labels:
        return f" (of {', '.join(labels)})"
    return " (of its replay)" if known.replay != made.replay else " (in its metadata)"
