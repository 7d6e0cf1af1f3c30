"""Replay: what a release says is built again from its replay, and compared with what was published.

A verdict for each item: ``same``, ``differs`` (with the files that do, where both wares can be had), ``missing`` (the
replay gave no such item), ``failed`` (it could not be run to its end), ``no-replay``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from warpforge.engine.compare import differences
from warpforge.engine.job import Where
from warpforge.engine.recorded import repointed
from warpforge.errors import Invalid, Missing, WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.names import parse_module_name, without_kind
from warpforge.model.verdict import DIFFERS, FAILED, MISSING, NO_REPLAY, SAME
from warpforge.plan.refs import refs

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.engine.engine import Engine
    from warpforge.model.catalog import Release
    from warpforge.model.plot import PlotResults


class Verdict(NamedTuple):
    """What came of one item. ``why``: the files that differ, or the error; ``code``: the error's."""

    ref: CatalogRef
    published: WareId
    verdict: str
    made: WareId | None = None
    replay: str = ""
    why: tuple[str, ...] = ()
    code: str = ""

    def to_serial(self) -> dict[str, Any]:
        serial: dict[str, Any] = {
            "ref": str(self.ref),
            "verdict": self.verdict,
            "published": str(self.published),
            "made": str(self.made) if self.made else None,
            "replay": self.replay,
            "why": list(self.why),
            "code": self.code,
        }
        return {key: value for key, value in serial.items() if value}


class Wanted(NamedTuple):
    """What to replay: a module, one of its releases, one item; empty for all."""

    module: str
    release: str = ""
    item: str = ""

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """``MODULE[:RELEASE[:ITEM]]``, also as it stands in plots. Errors: ``catalog-name``, ``invalid-argument``."""
        module, *rest = without_kind(text).split(":")
        if len(rest) > 2:
            raise Invalid("invalid-argument", f"{text}: MODULE[:RELEASE[:ITEM]] is wanted")
        return cls(parse_module_name(module), *rest)


class Replayer:
    """Replays releases of the catalogs that an engine sees. The engine is one that runs past its memo."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.broken: list[WarpforgeError] = []

    def wanted(self, wanted: Wanted) -> list[tuple[Catalog, str, Release]]:
        """The releases that are meant, nearest catalog first; one that a nearer catalog has is not repeated.

        Errors: ``catalog-missing-entry``, ``catalog-invalid``.
        """
        found: dict[str, tuple[Catalog, str, Release]] = {}
        for catalog in self._engine.lookup.catalogs():
            known = catalog.module(wanted.module)
            for name in known.releases if known else ():
                release = catalog.release(known, name) if known and wanted.release in ("", name) else None
                if release is not None and (not wanted.item or wanted.item in release.items):
                    found.setdefault(name, (catalog, wanted.module, release))
                    for item in release.items:  # catalogs that stand beside each other must agree on it
                        self._engine.lookup.find(CatalogRef(wanted.module, name, item))
        if not found:
            text = ":".join(part for part in wanted if part)
            raise Missing("catalog-missing-entry", f"no catalog here has {text}", catalogRef=text)
        return [*found.values()]

    def every(self) -> Iterator[tuple[Catalog, str, Release]]:
        """Every release that has a replay, by module. One that cannot be read is told of, and kept in ``broken``."""
        modules = {module: None for catalog in self._engine.lookup.catalogs() for module in catalog.modules()}
        for module in modules:
            try:
                found = self.wanted(Wanted(module))
            except WarpforgeError as error:
                self._engine.tell("warning", f"{module} is passed over: {error.message}")
                self.broken.append(error)
                continue
            yield from (one for one in found if one[2].replay is not None)

    def replay(self, catalog: Catalog, module: str, release: Release, item: str = "") -> list[Verdict]:
        """Build one release again; a verdict for each item, or only for one."""
        items = {name: ware for name, ware in release.items.items() if item in ("", name)}
        named = {CatalogRef(module, release.name, name): ware for name, ware in items.items()}
        cid = release.replay
        if cid is None:
            return [Verdict(ref, ware, NO_REPLAY) for ref, ware in named.items()]
        try:
            results = self._run(catalog, module, release, cid)
        except WarpforgeError as error:
            if error.code == "warpforge-error-interrupted":
                raise
            inner = error.chain()[-1]
            return [Verdict(ref, ware, FAILED, None, cid, (inner.message,), inner.code) for ref, ware in named.items()]
        found = [self._judge(ref, ware, results, cid) for ref, ware in named.items()]
        if all(one.verdict == SAME for one in found):
            self._remember(catalog, module, release)
        return found

    def _remember(self, catalog: Catalog, module: str, release: Release) -> None:
        """What the replay took, when it gave what was published."""
        plot = catalog.replay(module, release.replay) if release.replay else None
        names = [ref for ref in refs(plot) if isinstance(ref, CatalogRef)] if plot else []
        pinned = {ref: self._engine.pinned(ref) for ref in names}
        self._engine.witness.remember_pins(module, release, {r: w for r, w in pinned.items() if isinstance(w, WareId)})

    def _run(self, catalog: Catalog, module: str, release: Release, cid: str) -> PlotResults:
        plot = catalog.replay(module, cid)
        path = catalog.replay_path(module, cid)
        if plot is None:
            raise Missing("catalog-missing-entry", f"the replay {cid} of {module} is not there", path=path)
        then: dict[CatalogRef, WareId] = {}
        known = self._engine.witness.pins(module, release)
        for moved in repointed(catalog, module, release, plot, self._engine.lookup, known):
            self._engine.tell("warning", f"{module}:{release.name}: {moved}")
            if moved.then is not None:
                then[moved.ref] = moved.then
        return self._engine.replay(plot, Where(Path(path), module), then)

    def _judge(self, ref: CatalogRef, published: WareId, results: PlotResults, cid: str) -> Verdict:
        made = results.results.get(ref.item)
        if not isinstance(made, WareId):
            return Verdict(ref, published, MISSING, None, cid, (f"the replay gives no ware called {ref.item}",))
        if made == published:
            return Verdict(ref, published, SAME, made, cid)
        try:
            why = tuple(map(str, differences(self._engine.supply, published, made)))
        except WarpforgeError as error:
            why = (f"the files cannot be compared: {error.message}",)
        return Verdict(ref, published, DIFFERS, made, cid, why)
