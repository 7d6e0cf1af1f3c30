"""``warpforge catalog bump``: newer releases for what plots take from catalogs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.files import rewrite
from warpforge.errors import Failed, Missing
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.engine.bump import Bumper, PlotBump, RefBump
    from warpforge.workspace.targets import Target


@click.command(cls=Command, name="bump")
@click.argument("targets", nargs=-1, metavar="[DIR|DIR/...|FILE|MODULE[:RELEASE]]...")
@click.option("--write", "-w", is_flag=True, help="Write the plots, in their canonical form.")
@CATALOG_AT
@click.option("--check", "only_check", is_flag=True, help="Change nothing; fail when there is something newer.")
@pass_common
def bump(common: Common, targets: tuple[str, ...], *, write: bool, only_check: bool) -> None:
    """Propose newer releases for what plots take from catalogs, and tell which steps would run again.

    A release is newer that its module lists later. MODULE limits that to one module that the plots take, and
    MODULE:RELEASE says which release of it is wanted, an older or a hazardous one, too. Otherwise releases that are
    marked as hazardous, and those without the item, are passed over. Nothing is written without --write. With
    --catalog-at nothing is proposed that the catalog did not have then.
    """
    from warpforge.model.serial import dump

    if write and only_check:
        refuse_argument("--check changes nothing: leave out --write")
    where, only = _sort(common, targets)
    changes = 0
    taken: set[str] = set()
    for number, (bumper, target) in enumerate(_bumpers(common, where, only)):
        found, plot = bumper.bump(target)
        taken |= bumper.taken
        changes += len(found.changes)
        if write and found.changes:
            rewrite(target.plot, dump(plot))
            found.written = True
        if common.json:
            print(to_json({"bump": found}))
            continue
        for line in _lines(found, first=number == 0):
            common.result(printable(line))
    if strange := [module for module in only if module not in taken]:
        raise Missing("missing", f"no plot here takes anything from {', '.join(strange)}", module=strange[0])
    if changes and not write and not only_check:
        common.note("nothing was written: --write does that")
    if not changes:
        common.note("nothing newer")
    if only_check and changes:
        many = counted(changes, "reference has a newer release", "references have newer releases")
        raise Failed("invalid", f"{many}: --write takes them", reason="outdated", count=changes)


def _sort(common: Common, targets: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Places, and modules with the release that is wanted. Errors: ``missing`` for what is neither."""
    from warpforge.model.names import is_module_name

    where: list[str] = []
    only: dict[str, str] = {}
    for text in targets:
        module, _, release = text.partition(":")
        if is_module_name(module) and not os.path.lexists(common.settings.cwd / text) and "..." not in text:
            only[module] = release
        else:
            where.append(text)
    return where, only


def _bumpers(common: Common, where: Sequence[str], only: dict[str, str]) -> Iterator[tuple[Bumper, Target]]:
    from warpforge.cli.render import make_reporter
    from warpforge.engine.bump import Bumper
    from warpforge.engine.engine import Engine
    from warpforge.engine.forecast import Forecaster
    from warpforge.workspace.find import Stack, find_stack
    from warpforge.workspace.targets import find_targets

    options = common.options(look=True)
    reporter = make_reporter(common)
    bumpers: dict[Stack, Bumper] = {}
    for target in find_targets(where, common.settings.cwd, common.note):
        if target.kind == "formula":
            common.note(f"{target.path}: a formula names wares, not releases")
            continue
        stack = find_stack(target.path.parent, common.settings.home)
        if stack not in bumpers:
            engine = Engine(stack, reporter, options)
            bumpers[stack] = Bumper(engine, Forecaster(engine, 1, ask=False), only)
        yield bumpers[stack], target


def _lines(found: PlotBump, *, first: bool) -> Iterator[str]:
    if not found.refs:
        return
    if not first:
        yield ""
    yield f"{os.path.relpath(found.document)}" + (f"  ({found.module})" if found.module else "")
    for ref in found.refs:
        yield from _ref_lines(ref)
    if found.steps is None:
        yield "  which steps would run again cannot be told: see `warpforge plan`"
    elif found.changes:
        names = ", ".join(step.step for step in found.steps)
        yield f"  {len(found.steps)} of {found.total} steps would run again" + (f": {names}" if names else "")
    if found.written:
        yield "  written"


def _ref_lines(ref: RefBump) -> Iterator[str]:
    between = len(ref.newer) - 1
    more = f"  ({between} between)" if between > 0 else ""
    yield f"  {ref.ref} -> {ref.to.split(':', 1)[1]}{more}" if ref.to else f"  {ref.ref}"
    if ref.to and ref.to_ware == ref.ware:
        yield f"    the same ware, {ref.ware}"
    elif ref.to:
        yield f"    {ref.ware or 'nothing'} -> {ref.to_ware}"
    if not ref.ware:
        yield "    no catalog here has it"
    if ref.hazard:
        yield f"    it is marked as hazardous: {ref.hazard}"
    for passed in ref.passed_over:
        yield f"    passed over {passed.release}: {passed.why}"
