"""Capsules: a module with all that it is built from, in one file, for a machine that has neither a network nor a store.

A capsule is a packed ``ztar`` tree, and so a ware with an id of its own: a root workspace with the module at its top,
the catalog entries that it names, the wares behind them, and, unless they are not wanted, memos and their results.
Ingests and candidates are frozen: the plot in the capsule names the wares that they were.
What comes out of a capsule is believed as little as what comes from a mirror.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from warpforge.catalog.tree import Catalog
from warpforge.engine.bundle import Bundler
from warpforge.engine.job import Job, Where
from warpforge.engine.sizes import FILE as SIZES
from warpforge.engine.sizes import Sizes, add_sizes
from warpforge.errors import Failed, Invalid, Unable, store_error
from warpforge.fsx.atomic import fsync_dir, make_dirs, movable, rename_noreplace
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.findings import invalid_document
from warpforge.model.ident import formula_id
from warpforge.model.module import Module
from warpforge.model.plot import Plot
from warpforge.model.serial import dump
from warpforge.plan.foresee import foresee
from warpforge.plan.plan import Plan
from warpforge.plan.refs import refs, wares
from warpforge.plan.replayable import replayable, why_not
from warpforge.store.layout import Layout, packed

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.engine.events import Reporter
    from warpforge.model.formula import Formula
    from warpforge.pack.limits import Limits
    from warpforge.pack.packer import Sum
    from warpforge.plan.plan import Result
    from warpforge.workspace.targets import Target

CATALOG: Final = "capsule"
INTERNAL: Final = ".warpforge"


class How(NamedTuple):
    """``memos``: results of what was run here come along. ``recursive``: also what replays are built from."""

    memos: bool = True
    recursive: bool = False


class Filled(NamedTuple):
    """What a capsule holds: its own id, wares, memos, catalog releases."""

    ware: WareId
    wares: int
    memos: int
    releases: int
    bytes: int


def create(engine: Engine, target: Target, sink: BinaryIO, how: How) -> Filled:
    """Run a module, and write it into a capsule.

    Errors: ``plot-invalid`` (replay) for what only this machine has; those of running, of supply and of writing.
    """
    from warpforge.fsx.tree import walk
    from warpforge.pack.filters import INGEST
    from warpforge.pack.packer import pack

    plot, where = engine.load(target)
    if found := [f for f in why_not(plot) if not f.message.startswith(("ingest:", "candidate:"))]:
        raise invalid_document("plot-invalid", str(target.plot), found)
    engine.run(target)
    ours = [ref for ref in refs(plot) if not isinstance(ref, CatalogRef)]
    frozen = replayable(plot, {ref: _ware(engine.pinned(ref)) for ref in ours})
    with engine.store.use(), engine.store.scratched("capsule") as top:
        filling = _Filling(engine, top)
        filling.documents(frozen, where.plot)
        releases = filling.catalog(frozen, recursive=how.recursive)
        memos = filling.memos(frozen, where) if how.memos else 0
        wares = filling.wares()
        filling.sizes()
        fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            seen: Sum = pack(walk(fd), "ztar", INGEST, sink)
        finally:
            os.close(fd)
    return Filled(seen.ware, wares, memos, releases, seen.packed_bytes)


def open_capsule(
    source: BinaryIO, goal: Path, reporter: Reporter, limits: Limits, expect: WareId | None = None
) -> WareId:
    """Unpack a capsule as the new directory ``goal``, once all that is in it was found to be what it says.

    Errors: ``ware-corrupt``, ``ware-invalid``, ``ware-limit``, ``ware-mismatch`` (``expect``), ``already-exists``,
    ``invalid`` when it is no capsule, ``store`` (corrupt) naming what is wrong in it.
    """
    from warpforge.fsx.remove import remove_tree
    from warpforge.pack.filters import INPUT
    from warpforge.pack.packer import unpack

    if os.path.lexists(goal):
        raise Failed("already-exists", f"{goal} is there already: choose another directory", path=goal)
    staged = goal.parent / f".{goal.name}.capsule-{os.getpid()}"
    try:
        make_dirs(goal.parent)
        parent = os.open(goal.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            filters = INPUT.parse("uid=mine,gid=mine")
            seen = unpack(
                source, "ztar", parent, os.fsencode(staged.name), filters=filters, expect=expect, limits=limits
            )
        finally:
            os.close(parent)
        _check(staged, reporter)
        with movable(staged):
            rename_noreplace(staged, goal)
        fsync_dir(goal.parent)
    except OSError as error:
        raise store_error(error, f"cannot open the capsule as {goal}") from error
    finally:
        remove_tree(-100, os.fspath(staged), missing_ok=True)
    return seen.source.ware


def _check(top: Path, reporter: Reporter) -> None:
    """Nothing of a capsule is believed: every ware is hashed, every memo and every document read."""
    from warpforge.catalog.check import ERROR, check_module
    from warpforge.engine.engine import Engine
    from warpforge.engine.upkeep import Upkeep
    from warpforge.workspace.find import Stack, Workspace

    internal = top / INTERNAL
    if not (internal / "root").is_file() or not (top / "plot.wf").is_file():
        raise Invalid("invalid", "this is no capsule: there is no workspace with a plot in it", reason="capsule")
    allowed = {"root", "warehouse", "duals", "images", "memos", "catalogs", SIZES}
    if odd := sorted(set(os.listdir(internal)) - allowed):
        raise Invalid("invalid", f"this is no capsule: nothing called {odd[0]!r} belongs into one", reason="capsule")
    stack = Stack((Workspace(top, internal, is_root=True, is_home=False),))
    with Engine(stack, reporter) as engine:
        wrong = [finding.message for finding in Upkeep(engine).verify(lambda *_: None, deep=True)]
    catalog = Catalog(internal / "catalogs" / CATALOG)
    for module in catalog.modules() if catalog.path.is_dir() else ():
        wrong += [str(fault) for fault in check_module(catalog.path, module).faults if fault.level == ERROR]
    if wrong:
        lines = "".join(f"\n  {line}" for line in wrong)
        raise Unable("store", f"the capsule is damaged:{lines}", reason="corrupt")
    for name in {*os.listdir(internal)} - allowed:  # what looking at it left
        shutil.rmtree(internal / name, ignore_errors=True)


class _Filling:
    """A root workspace being filled."""

    def __init__(self, engine: Engine, top: Path) -> None:
        self._engine = engine
        self._top = top
        self._layout = Layout(os.fspath(top / INTERNAL))
        self._wares: dict[WareId, None] = {}
        make_dirs(top / INTERNAL / "catalogs", sync=False)
        (top / INTERNAL / "root").write_bytes(b"")

    def documents(self, plot: Plot, name: str) -> None:
        (self._top / "plot.wf").write_bytes(dump(plot))
        if name:
            (self._top / "module.wf").write_bytes(dump(Module(name)))

    def catalog(self, plot: Plot, *, recursive: bool) -> int:
        from warpforge.catalog.edit import init_catalog

        goal = init_catalog(self._top / INTERNAL / "catalogs", CATALOG)
        bundler = Bundler(self._engine.lookup, goal, recursive=recursive)
        made = bundler.bundle([plot])
        self._wares |= dict.fromkeys(bundler.wares)
        shutil.rmtree(self._top / INTERNAL / "locks", ignore_errors=True)
        return len(made)

    def sizes(self) -> None:
        """How large wares are that the capsule names and does not hold."""
        catalog, named = Catalog(self._top / INTERNAL / "catalogs" / CATALOG), set[WareId]()
        for module, _, release in catalog.releases():
            plot = catalog.replay(module, release.replay) if release.replay else None
            named |= {*release.items.values(), *(wares(plot) if plot else ())}
        add_sizes(self._top / INTERNAL, Sizes(self._engine).known(named - {*self._wares}))

    def memos(self, plot: Plot, where: Where) -> int:
        """The memos of all steps, with their results."""
        plan = Plan(plot, self._engine.pinner.pins(plot, where.base))
        records = {}
        seen = foresee(plan, lambda task: self._recall(task.path, task.formula, where), lambda _: None)
        for one in seen.values():
            if one.formula is not None and one.results is not None:
                records[formula_id(one.formula)] = one.results
                self._wares |= {ware: None for ware in one.results.values() if isinstance(ware, WareId)}
        make_dirs(self._layout.memos, sync=False)
        for formula in records:
            shutil.copyfile(self._engine.store.layout.memo(formula), self._layout.memo(formula))
        return len(records)

    def _recall(self, path: tuple[str, ...], formula: Formula, where: Where) -> Mapping[str, Result] | None:
        record = self._engine.executor.recall(Job(path, formula, formula_id(formula), where))
        return None if record is None else record.results

    def wares(self) -> int:
        """Every ware, fetched if need be, with its dual id and what its image says."""
        store = self._engine.store
        for ware in self._wares:
            self._engine.supply.packed(ware).close()
            source = store.warehouse.find(ware)
            assert source is not None
            _copy(os.fspath(source), packed(os.fspath(self._top / INTERNAL / "warehouse"), ware))
            for name in ("dual", "image"):
                file = getattr(store.layout, name)(ware)
                if os.path.isfile(file):
                    _copy(file, getattr(self._layout, name)(ware))
        return len(self._wares)


def _copy(source: str, goal: str) -> None:
    """As a hard link where that can be: the capsule's tree is only read."""
    make_dirs(os.path.dirname(goal), sync=False)
    try:
        os.link(source, goal)
    except OSError:
        shutil.copyfile(source, goal)


def _ware(result: Result) -> WareId:
    if not isinstance(result, WareId):
        raise Invalid("plot-invalid", f"an input is the text {result}: only wares can be frozen", reason="literal")
    return result
