"""Provenance: where a ware comes from, step by step back to what nobody made, and who uses it.

Known from catalogs (names, replays, mirrors), the run log (executions, ingests), memos, and what was recorded of the
parts of commits. What each says is told side by side; where nobody knows anything, a ware is a first input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from warpforge.engine.history import DEPTH
from warpforge.errors import Invalid, Missing, WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.names import is_module_name, without_kind
from warpforge.plan.refs import refs, wares

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.catalog.tree import Catalog
    from warpforge.catalog.words import Judges
    from warpforge.engine.engine import Engine
    from warpforge.model.catalog import Release
    from warpforge.store.run_entry import RunEntry

CATALOG: Final = "catalog:"  # how the origin begins that is a reference
MOST: Final = 10_000  # wares in one explanation
SHOWN: Final = 3  # executions told of one ware


class Execution(NamedTuple):
    """One way in which a ware was made here."""

    formula_id: str
    run: str
    module: str
    step: str
    started: float
    inputs: tuple[tuple[str, str, str], ...]  # port, ware, and what the plot says is there

    def to_serial(self) -> dict[str, Any]:
        inputs = [{"port": port, "ware": ware, "origin": origin} for port, ware, origin in self.inputs]
        return {**self._asdict(), "inputs": inputs}


class Replayable(NamedTuple):
    """A release that names a ware and says how it is made: what its replay takes."""

    ref: str
    replay: str
    inputs: tuple[tuple[str, str], ...]  # ware, and what the plot calls it
    verdict: str = ""  # what came of it the last time that somebody built it again, as far as that is kept
    judged: int = 0  # when that was, in seconds since 1970
    same: tuple[str, ...] = ()  # the rebuilders who made the same
    other: tuple[tuple[str, str], ...] = ()  # those who did not, with the words of their verdicts

    def to_serial(self) -> dict[str, Any]:
        inputs = [{"ware": ware, "origin": origin} for ware, origin in self.inputs]
        serial = {**self._asdict(), "inputs": inputs, "same": [*self.same], "other": dict(self.other)}
        return {key: value for key, value in serial.items() if value or key == "inputs"}


class Known(NamedTuple):
    """All that is known of one ware. ``parts``: path, id and address of what it was put together from.

    ``said``: what the releases that name it say in their metadata, where no replay says more.
    """

    ware: WareId
    here: bool
    names: tuple[str, ...]
    replays: tuple[Replayable, ...]
    executions: tuple[Execution, ...]
    ingests: tuple[str, ...]
    parts: tuple[tuple[str, str, str], ...]
    mirrors: tuple[str, ...]
    said: tuple[tuple[str, str], ...] = ()

    @property
    def called(self) -> dict[WareId, str]:
        """What it was made from, by whichever way is known, each once, and by which reference it was taken, if any."""
        found = [taken for replay in self.replays for taken in replay.inputs]
        found += [(ware, origin) for execution in self.executions for _, ware, origin in execution.inputs]
        names: dict[str, str] = {}
        for ware, origin in found:
            names[ware] = names.get(ware) or (origin.removeprefix(CATALOG) if origin.startswith(CATALOG) else "")
        return {WareId.parse(ware): name for ware, name in names.items()}

    @property
    def inputs(self) -> list[WareId]:
        """The wares of ``called``."""
        return [*self.called]

    def to_serial(self) -> dict[str, Any]:
        return {
            "ware": str(self.ware),
            "here": self.here,
            "names": [*self.names],
            "replays": [replay.to_serial() for replay in self.replays],
            "executions": [execution.to_serial() for execution in self.executions],
            "ingests": [*self.ingests],
            "parts": [{"path": path, "part": part, "from": address} for path, part, address in self.parts],
            "mirrors": [*self.mirrors],
            "said": dict(self.said),
        }


class Use(NamedTuple):
    """Who takes a ware: a step that ran here, or the replay of a release. ``gave``: the wares that came of it."""

    kind: str
    name: str
    at: str
    gave: tuple[str, ...]


class Provenance:
    """Reads catalogs and the run log once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._names: dict[WareId, list[tuple[Catalog, CatalogRef, Release]]] = {}
        self._made: dict[str, list[RunEntry]] = {}
        self._taken: dict[str, list[RunEntry]] = {}
        self._judges: dict[Path, Judges] = {}
        for catalog in engine.lookup.catalogs():
            for module in catalog.modules():
                self._note(catalog, module)
        for entry in islice(engine.store.runs.entries(), DEPTH):
            for spelled in {*entry.outputs.values()} if not entry.failed else ():
                self._made.setdefault(spelled.removeprefix("ware:"), []).append(entry)
            for spelled in {*entry.inputs.values()}:
                self._taken.setdefault(spelled.removeprefix("ware:"), []).append(entry)

    def _note(self, catalog: Catalog, module: str) -> None:
        """Note what a module names; what is wrong with one is no reason to explain nothing of the others."""
        try:
            for name, release in catalog.releases_of(module):
                for item, ware in release.items.items():
                    self._names.setdefault(ware, []).append((catalog, CatalogRef(module, name, item), release))
        except WarpforgeError as error:
            self._engine.tell("warning", f"{module} is passed over: {error.message}")

    def resolve(self, text: str) -> dict[WareId, str]:
        """What is meant by a WareId, a reference, a release (all its items), or the beginning of a known WareId's hash.

        Each ware with the name that was said, or an empty text. Errors: ``catalog-missing-entry``, ``catalog-name``,
        ``wareid-invalid``, ``missing``, ``invalid-argument`` when the beginning is that of several.
        """
        text = without_kind(text)
        module, *release = text.split(":")
        if not release and "." in module and is_module_name(module):
            raise self._vague(module)
        if len(release) == 1 and is_module_name(module) and "." in module:  # no packtype has a dot
            return self._items(module, *release)
        if len(release) == 2:
            ref = CatalogRef.parse(text)
            return {self._engine.lookup.pin([ref])[ref].ware: text}
        return {self._find(text): ""}

    def _items(self, module: str, name: str) -> dict[WareId, str]:
        """The wares of a release, each with its last name. Errors: as ``resolve``; catalogs that disagree."""
        named = [ref for known in self._names.values() for _, ref, _ in known if ref[:2] == (module, name)]
        if not named:
            ref = f"{module}:{name}"
            raise Missing("catalog-missing-entry", f"no catalog here has anything of {ref}", catalogRef=ref)
        return {pin.ware: str(ref) for ref, pin in self._engine.lookup.pin(named).items()}

    def _vague(self, module: str) -> Missing:
        named = (ref for known in self._names.values() for _, ref, _ in known)
        releases = list(dict.fromkeys(ref.release for ref in named if ref.module == module))
        if not releases:
            return Missing("catalog-missing-entry", f"no catalog here has {module}", catalogRef=module)
        some = ", ".join(f"{module}:{release}" for release in releases[:3])
        say = f"{module} is a module, which has many wares: name a release of it, as {some}"
        return Missing("missing", say, catalogRef=module)

    def _find(self, text: str) -> WareId:
        """The ware with this id, or the only known one whose id, or whose hash, begins so."""
        packtype, _, start = text.rpartition(":")
        known = {*map(str, self._names), *(name for name in (*self._made, *self._taken) if ":" in name)}
        found = sorted(name for name in known if name.partition(":")[2].startswith(start) and name.startswith(packtype))
        if packtype and (text in known or not found or len(start) < 6):
            return WareId.parse(text)
        if len(start) < 6 or not found:
            say = "name a WareId, the first six characters of its hash, module:release, or module:release:item"
            raise Missing("missing", f"nothing is known of {text!r}: {say}", ware=text)
        if len(found) > 1:
            raise Invalid("invalid-argument", f"{text} may be {', '.join(found)}: say more of it")
        return WareId.parse(found[0])

    def back(self, wares: Mapping[WareId, str]) -> Iterator[Known]:
        """The wares, then all that they came from, each once, nearest first.

        Of several names of a ware that one comes first by which it was asked for (see ``resolve``) or taken.
        """
        called = dict(wares)
        waiting = [*wares]
        for number, one in enumerate(waiting):  # it grows meanwhile
            if number >= MOST:
                return
            known = self.known(one)
            yield known._replace(names=tuple(sorted(known.names, key=called[one].__ne__)))
            for taken, name in known.called.items():
                if taken not in called:
                    called[taken] = name
                    waiting.append(taken)

    def known(self, ware: WareId) -> Known:
        """What is known of one ware."""
        from warpforge.mirror.protocol import shown

        named = self._names.get(ware, [])
        modules = dict.fromkeys(ref.module for _, ref, _ in named)
        addresses = [*self._engine.lookup.mirrors(ware, modules), *self._engine.reach.addresses]
        return Known(
            ware,
            self._engine.store.has(ware),
            tuple(dict.fromkeys(str(ref) for _, ref, _ in named)),
            tuple(self._replays(named)),
            tuple(_execution(entry) for entry in self._made.get(str(ware), [])[:SHOWN]),
            tuple(dict.fromkeys(self._ingests(ware))),
            tuple(self._engine.store.origins.find(ware)),
            tuple(dict.fromkeys(map(shown, addresses))),
            tuple(_said((ref.item, release) for _, ref, release in named if release.replay is None)),
        )

    def used_by(self, ware: WareId) -> Iterator[Use]:
        """Who takes a ware: what ran here, newest first and each step once, then replays of releases."""
        seen = set()
        for entry in self._taken.get(str(ware), []):
            name, at = "/".join(entry.step) or "formula", entry.plot or entry.document
            if (name, at) not in seen:
                seen.add((name, at))
                gave = tuple(text.removeprefix("ware:") for text in entry.outputs.values())
                yield Use("step", name, at, gave)
        for module, name, release, replay in self._all_replays():
            if any(taken == str(ware) for taken, _ in replay):
                yield Use("replay", f"{module}:{name}", release.replay or "", tuple(map(str, release.items.values())))

    def _replays(self, named: Iterable[tuple[Catalog, CatalogRef, Release]]) -> Iterator[Replayable]:
        for catalog, ref, release in named:
            if release.replay is not None:
                takes = tuple(self._takes(catalog, ref.module, release.replay))
                judged = (*self._judged(catalog, ref, release), *self._rebuilt(catalog, ref, release))
                yield Replayable(str(ref), release.replay, takes, *judged)

    def _judged(self, catalog: Catalog, ref: CatalogRef, release: Release) -> tuple[str, int]:
        """The newest verdict that is kept of an item, and when it was given."""
        from warpforge.engine.verdicts import known

        internals = [workspace.internal for workspace in self._engine.stack]
        found = [one.verdicts.items.get(ref.item) for one in known(internals, catalog, ref.module, release)]
        newest = max((one for one in found if one is not None), key=lambda one: one.time, default=None)
        return (newest.verdict, newest.time) if newest else ("", 0)

    def _rebuilt(
        self, catalog: Catalog, ref: CatalogRef, release: Release
    ) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """What the rebuilders of the catalog say of an item: who made the same, and who did not."""
        from warpforge.catalog.words import agreement, last_words
        from warpforge.engine.catalogs import find_judges
        from warpforge.engine.verdicts import words_on

        stack = self._engine.stack
        if catalog.path not in self._judges:
            self._judges[catalog.path] = find_judges(stack, catalog.path)[0]
        judges = self._judges[catalog.path]
        said = words_on(stack, judges, catalog, ref.module, release).get(ref.item, []) if judges.rebuilders else []
        agreed, last = agreement(said), last_words(said)
        return agreed.same, tuple((who, last[who].verdict.verdict) for who in agreed.other)

    def _takes(self, catalog: Catalog, module: str, replay: str) -> Iterator[tuple[str, str]]:
        plot = catalog.replay(module, replay)
        if plot is None:
            return
        for ref in refs(plot):
            pin = self._engine.lookup.find(ref) if isinstance(ref, CatalogRef) else None
            if pin is not None:
                yield str(pin.ware), f"catalog:{ref}"
        yield from ((str(ware), f"ware:{ware}") for ware in wares(plot))

    def _all_replays(self) -> Iterator[tuple[str, str, Release, list[tuple[str, str]]]]:
        for catalog in self._engine.lookup.catalogs():
            for module, name, release in catalog.releases():
                if release.replay is not None:
                    yield module, name, release, [*self._takes(catalog, module, release.replay)]

    def _ingests(self, ware: WareId) -> Iterator[str]:
        """From what of the host the ware was made, as the plots said that took it."""
        for entry in self._taken.get(str(ware), []):
            for port, spelled in entry.inputs.items():
                origin = entry.origins.get(port, "")
                if spelled == f"ware:{ware}" and origin.startswith("ingest:"):
                    yield f"{origin} ({entry.document})"


def _said(named: Iterable[tuple[str, Release]]) -> Iterator[tuple[str, str]]:
    """What releases say of themselves and of an item: what ends in the name of another item is about that."""
    for item, release in named:
        others = tuple(f".{other}" for other in release.items if other != item)
        yield from ((key, text) for key, text in release.metadata.items() if not key.endswith(others))


def _execution(entry: RunEntry) -> Execution:
    inputs = tuple(
        (port, spelled.removeprefix("ware:"), entry.origins.get(port, spelled))
        for port, spelled in entry.inputs.items()
        if spelled.startswith("ware:")
    )
    step = "/".join(entry.step) or "formula"
    return Execution(entry.formula_id, entry.id, entry.plot or entry.document, step, entry.started, inputs)
