"""``warpforge catalog check``: all that is wrong with a catalog."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from warpforge.catalog.check import ERROR, Examined, Fault, check_among, strays
from warpforge.catalog.edit import writing
from warpforge.catalog.examine import examine
from warpforge.catalog.tree import Catalog
from warpforge.catalog.view import PastView
from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.catalogs import NAME, chosen_catalog, here, is_named, seen_catalogs
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.progress import bar
from warpforge.errors import Invalid
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.model.atoms import CatalogRef
    from warpforge.workspace.find import Stack

CHECKING: Final = "checking modules"


@click.command(cls=Command, name="check")
@NAME
@click.option("--rewrite", is_flag=True, help="Give every document its canonical form; no id changes.")
@CATALOG_AT
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Processes; default: the cores.")
@click.pass_context
@pass_common
def check(common: Common, context: click.Context, name: str | None, *, rewrite: bool, jobs: int | None) -> None:
    """Check a catalog (default: all that are seen from here): ids, names, orphans, wares and mirrors, form.

    Errors fail; warnings (orphans, wares that are nowhere, form, names that look alike) do not. With --catalog-at, only
    the catalogs that had that root: whether all that it names can still be had, and is what it names.
    """
    if rewrite and common.catalog_at:
        refuse_argument("the past is not written again: leave out --rewrite, or --catalog-at")
    stack = here(common)
    catalogs = _catalogs(common, context, stack, name)
    if not catalogs:
        common.note("there is no catalog here: make one with `warpforge catalog init NAME`")
    errors = 0
    for catalog in catalogs:
        errors += _check(common, stack, catalog, rewrite=rewrite, jobs=jobs or len(os.sched_getaffinity(0)))
    if errors:
        what = f"{counted(errors, 'error')} in {counted(len(catalogs), 'catalog')}"
        raise Invalid("catalog-invalid", what, reason="check", errors=errors)


def _catalogs(common: Common, context: click.Context, stack: Stack, name: str | None) -> list[Catalog]:
    """Those to check. Without --catalog-at as they lie there, believed or not."""
    if common.catalog_at:
        found = seen_catalogs(common, context, stack, name)
        return [catalog for catalog in found if isinstance(catalog.view, PastView)]
    if is_named(context, name):
        return [chosen_catalog(context, stack, name, make=False)]
    return [Catalog(path) for layer in stack.catalog_layers() for path in layer]


def _check(common: Common, stack: Stack, catalog: Catalog, *, rewrite: bool, jobs: int) -> int:
    modules = [*(catalog.view.modules() if isinstance(catalog.view, PastView) else catalog.modules())]
    faults: list[Fault] = []
    examined: list[Examined] = []
    with ExitStack() as held:
        if rewrite:
            held.enter_context(writing(catalog))
        progress = held.enter_context(bar(common))
        progress(CHECKING, 0, len(modules))
        for one in examine(catalog, modules, jobs, rewrite=rewrite):
            examined.append(one)
            faults += one.faults
            progress(CHECKING, len(examined), len(modules))
    faults += _among(common, stack, catalog, examined)
    if not isinstance(catalog.view, PastView):
        faults += [*strays(catalog), *_beside(stack, catalog, examined)]
    for fault in sorted(faults, key=lambda fault: (fault.path, fault.pointer)):
        _show(common, catalog, fault)
    rewritten = sum(one.rewritten for one in examined)
    errors = sum(fault.level == ERROR for fault in faults)
    numbers = (("module", len(modules)), ("error", errors), ("warning", len(faults) - errors))
    summary = ", ".join(counted(number, one) for one, number in numbers)
    if unmirrored := len({ware for one in examined for ware in one.unmirrored.values()}):
        summary += f", {counted(unmirrored, 'ware')} without a mirror"
    if common.json:
        counts = {"modules": len(modules), "errors": errors, "warnings": len(faults) - errors, "rewritten": rewritten}
        counts["unmirrored"] = unmirrored
        print(to_json({"catalogcheck": {"name": catalog.name, "path": str(catalog.path), **counts}}))
    else:
        common.result(printable(f"{catalog.name}: {summary}" + (f", {rewritten} rewritten" if rewrite else "")))
    return errors


def _among(common: Common, stack: Stack, catalog: Catalog, examined: list[Examined]) -> Iterator[Fault]:
    """What is named and not there, in whatever catalog it should be."""
    from warpforge.engine.catalogs import open_lookup
    from warpforge.errors import WarpforgeError
    from warpforge.store.store import Store

    lookup = open_lookup(stack, at=common.catalog_at)

    def known(ref: CatalogRef) -> bool:
        try:
            return lookup.find(ref) is not None
        except WarpforgeError:
            return True  # what is wrong there is told of there

    with Store(stack.root.internal, warehouse=common.settings.warehouse) as store:
        yield from check_among(examined, known, store.has)


def _beside(stack: Stack, catalog: Catalog, examined: list[Examined]) -> Iterator[Fault]:
    """What does not go together with the catalogs of the same layer."""
    from warpforge.catalog.rivals import conflicts, look_alikes

    beside = [Catalog(path) for layer in stack.catalog_layers() if catalog.path in layer for path in layer]
    equals = [other for other in beside if other.path != catalog.path]
    yield from look_alikes((one.module for one in examined), (name for other in equals for name in other.modules()))
    yield from conflicts(examined, equals)


def _show(common: Common, catalog: Catalog, fault: Fault) -> None:
    if common.json:
        print(to_json({"fault": {"catalog": catalog.name, **fault._asdict()}}))
    else:
        click.echo(printable(f"{fault.level}: {catalog.name}/{fault}"), err=True)
