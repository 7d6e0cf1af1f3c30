"""Attest: what is known of how a release was made, followed by way of every release that it takes.

Only what documents say counts: catalogs, replays, memos. Nothing is run, fetched or asked, so the same catalogs and
memos give the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from io import RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from warpforge import __version__
from warpforge.engine.replay import Replayer, Wanted
from warpforge.errors import Failed, Invalid, Missing
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.attestation import Build, Facts, Rebuilt, StepRun, Taken
from warpforge.model.ident import formula_id, release_id
from warpforge.plan.foresee import foresee
from warpforge.plan.plan import FormulaTask, Plan
from warpforge.plan.refs import refs, wares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warpforge.catalog.tree import Catalog
    from warpforge.engine.engine import Engine
    from warpforge.model.attested import Attested
    from warpforge.model.catalog import Release
    from warpforge.model.plot import Plot
    from warpforge.plan.plan import Result

    Named = tuple[Catalog, str, Release]


class _Into(RawIOBase):
    """A file that is only hashed."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def write(self, data: Any, /) -> int:
        self._take(data)
        return len(data)


class Attester:
    """Gathers facts over the catalogs and the store of an engine; the caller uses the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._makers: dict[WareId, Named] | None = None

    def facts(self, wanted: Wanted, *, packed: bool = False) -> Facts:
        """All about a release, or one item of it. ``packed``: also the SHA-256 of each item as a plain tar.

        Errors: ``catalog-missing-entry``, ``catalog-invalid``; with ``packed`` those of supply.
        """
        own = Replayer(self._engine).wanted(wanted)[0]
        builds = tuple(self._builds(own))
        items = {name: ware for name, ware in own[2].items.items() if wanted.item in ("", name)}
        sums = {name: self._sum(ware) for name, ware in items.items()} if packed else {}
        return Facts(builds, items, __version__, sums, tuple(self._rebuilt(own, items)))

    def _rebuilt(self, own: Named, items: Iterable[str]) -> Iterator[Rebuilt]:
        """What the rebuilders say who are named for the release's catalog."""
        from warpforge.catalog.words import last_words
        from warpforge.engine.catalogs import find_judges
        from warpforge.engine.verdicts import words_on

        judges = find_judges(self._engine.stack, own[0].path)[0]
        words = words_on(self._engine.stack, judges, *own) if judges.rebuilders else {}
        for item in items:
            for who, word in last_words(words.get(item, [])).items():
                yield Rebuilt(item, who, word.verdict, word.believed)

    def _builds(self, own: Named) -> Iterator[Build]:
        """The release, then those that it takes, nearest first, each once."""
        waiting, seen = [own], {(own[1], own[2].name)}
        for named in waiting:  # it grows meanwhile
            plot = self._replay(*named)
            taken = [*self._taken(plot)] if plot else []
            steps = tuple(self._steps(plot)) if plot else ()
            yield Build(named[1], named[2], plot, steps, tuple(one for one, _ in taken))
            for _, maker in taken:
                if maker and (key := (maker[1], maker[2].name)) not in seen:
                    seen.add(key)
                    waiting.append(maker)

    def _replay(self, catalog: Catalog, module: str, release: Release) -> Plot | None:
        if release.replay is None:
            return None
        plot = catalog.replay(module, release.replay)
        if plot is None:
            path = catalog.replay_path(module, release.replay)
            text = f"{module}:{release.name} names the replay {release.replay}, which is not there: {path}"
            raise Missing("catalog-missing-entry", text, path=path)
        return plot

    def _taken(self, plot: Plot) -> Iterator[tuple[Taken, Named | None]]:
        """What a replay takes, and the release that names it."""
        catalogued = [ref for ref in refs(plot) if isinstance(ref, CatalogRef)]
        for ref, pin in self._engine.lookup.pin(catalogued).items():
            yield Taken(f"catalog:{ref}", pin.ware), (pin.catalog, ref.module, pin.release)
        for ware in dict.fromkeys(wares(plot)):
            yield Taken(f"ware:{ware}", ware), self._maker(ware)

    def _maker(self, ware: WareId) -> Named | None:
        """The first release that names a ware and says how it is made. Reads every catalog, once."""
        if self._makers is None:
            self._makers = {}
            for catalog in self._engine.lookup.catalogs():
                for module, _, release in catalog.releases():
                    for one in release.items.values() if release.replay else ():
                        self._makers.setdefault(one, (catalog, module, release))
        return self._makers.get(ware)

    def _steps(self, plot: Plot) -> Iterator[StepRun]:
        """Each step with its formula, as far as memos tell what the steps before it gave."""
        memo = self._engine.store.memo

        def recall(task: FormulaTask) -> Mapping[str, Result] | None:
            record = memo.load(formula_id(task.formula))
            return record.results if record else None

        pinned = self._engine.lookup.pin(ref for ref in refs(plot) if isinstance(ref, CatalogRef))
        seen = foresee(Plan(plot, {ref: pin.ware for ref, pin in pinned.items()}), recall, lambda task: None)
        for path, one in seen.items():
            formula = formula_id(one.formula) if one.formula else ""
            yield StepRun("/".join(path), formula, memo.load(formula) if formula else None)

    def _sum(self, ware: WareId) -> str:
        """Of the tar that ``ware export`` writes."""
        from warpforge.engine.export import Exporter
        from warpforge.pack.filters import SCAN

        sum_ = sha256()
        Exporter(self._engine, cast("BinaryIO", _Into(sum_.update))).tar(ware, "-", SCAN, "none")
        return sum_.hexdigest()

    def check(self, attested: Attested, name: str) -> None:
        """Hold a statement against the catalogs and the wares that are here.

        Errors: ``attestation-invalid`` (release: a catalog here says otherwise); ``ware-mismatch`` for a ware that is
        not what its id says, or that has another SHA-256 as a tar.
        """
        for ref, ware in attested.subjects.items():
            pin = self._engine.lookup.find(ref)
            if pin is not None and pin.ware != ware:
                raise _otherwise(f"{name}: {ref} is {ware} there, and {pin.ware} in the catalog {pin.catalog.name}")
            if pin is not None and attested.release_id not in ("", release_id(pin.release)):
                raise _otherwise(f"{name}: {ref} is of another form of the release than in {pin.catalog.name}")
            if self.is_here(ware):
                self._check_ware(ware, attested.packed.get(ref, ""))

    def is_here(self, ware: WareId) -> bool:
        """Whether the packed ware is on this machine."""
        return self._engine.store.warehouse.has(ware)

    def is_known(self, ref: CatalogRef) -> bool:
        """Whether a catalog here has it."""
        return self._engine.lookup.find(ref) is not None

    def _check_ware(self, ware: WareId, packed: str) -> None:
        from warpforge.engine.upkeep import Upkeep

        with self._engine.store.warehouse.open(ware) as file:
            found = Upkeep(self._engine).check_deep(ware, file)
        if found != ware:
            raise Failed("ware-mismatch", f"what is here as {ware} is {found}", wareId=ware, actual=found)
        if packed and (sum_ := self._sum(ware)) != packed:
            raise Failed("ware-mismatch", f"{ware} is {sum_} as a tar, not {packed}", expected=packed, actual=sum_)


def _otherwise(message: str) -> Invalid:
    return Invalid("attestation-invalid", message, reason="release")
