"""``warpforge status``: the module here, what it names, the workspaces, and whether boxes work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from warpforge import __version__
from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.engine.catalogs import open_lookup
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef
from warpforge.model.plot import Plot, unreplayable
from warpforge.model.serial import load_module, load_plot
from warpforge.model.units import counted
from warpforge.plan.refs import refs
from warpforge.workspace.find import Stack, find_stack
from warpforge.workspace.targets import MODULE, PLOT

Row = tuple[str, str]


@click.command(cls=Command, name="status")
@pass_common
def status(common: Common) -> None:
    """Show the module of this directory and what it names, the workspaces, and this machine."""
    settings = common.settings
    stack = find_stack(settings.cwd, settings.home)
    rows = [
        *_module(settings.cwd, stack),
        *_workspaces(settings.cwd, stack),
        *_machine(common, settings.warehouse),
    ]
    if common.json:
        print(to_json({"status": [{"what": what, "says": says} for what, says in rows]}))
        return
    for what, says in rows:
        common.result(printable(f"{what:<11}{says}"))


def _module(cwd: Path, stack: Stack) -> Iterator[Row]:
    module, plot = cwd / MODULE, cwd / PLOT
    if module.is_file():
        yield "module", load_module(module.read_bytes(), str(module)).noun.name
    elif not plot.is_file():
        yield "module", "none in this directory; `warpforge quickstart NAME` makes one"
        return
    if not plot.is_file():
        yield "plot", "none beside the module: there is nothing to run"
        return
    noun = load_plot(plot.read_bytes(), str(plot)).noun
    numbers = (("input", noun.inputs), ("step", noun.steps), ("output", noun.outputs))
    yield "plot", ", ".join(counted(len(those), one) for one, those in numbers)
    yield from _names(noun, stack)


def _names(plot: Plot, stack: Stack) -> Iterator[Row]:
    lookup = open_lookup(stack)
    for ref in refs(plot):
        if not isinstance(ref, CatalogRef):
            continue
        try:
            pin = lookup.find(ref)
        except WarpforgeError as error:
            yield error.reason or "error", error.message
            continue
        if pin is None:
            yield "missing", f"{ref}: no catalog here has it"
            continue
        yield "found", f"{ref} = {pin.ware} in {pin.catalog.path}"
        if pin.release.hazard is not None:
            yield "HAZARD", f"{ref.module}:{ref.release}: {pin.release.hazard}"
        for other in lookup.shadowed(ref):
            yield "shadows", f"{ref} = {other.ware} in {other.catalog.path}"
    for at, text in unreplayable(plot):
        yield "impure", f"{text} at {at}: the result depends on this machine"


def _workspaces(cwd: Path, stack: Stack) -> Iterator[Row]:
    for workspace in stack:
        kinds = ["home workspace" if workspace.is_home else "root workspace" if workspace.is_root else "workspace"]
        kinds += ["here"] if workspace.path == cwd else []
        kinds += ["git"] if (workspace.path / ".git").exists() else []
        kinds += [] if workspace.internal.is_dir() else ["not made yet"]
        yield "workspace", f"{workspace.path} ({', '.join(kinds)})"
        for catalog in workspace.catalogs():
            yield "catalog", f"{catalog}{_signed(stack, catalog)}"


def _signed(stack: Stack, catalog: Path) -> str:
    """What is known of a catalog's signatures."""
    from warpforge.engine.catalogs import find_believer

    try:
        believer = find_believer(stack, catalog)
        if believer is None:
            return ""
        from warpforge.catalog.snapshot import Snapshots

        snapshot = believer.believe(Snapshots(catalog))
    except WarpforgeError as error:
        return f" (NOT BELIEVED: {error.message})"
    return f" (signed, version {snapshot.version})"


def _machine(common: Common, warehouse: Path | None) -> Iterator[Row]:
    from warpforge.sandbox.choose import choose

    if warehouse is not None:
        yield "warehouse", f"{warehouse} (WARPFORGE_WAREHOUSE)"
    try:
        probe = choose().probe()
    except WarpforgeError as error:
        yield "boxes", f"do not work: {error.message}"
    else:
        yield (
            "boxes",
            f"work ({probe.sandbox})" if probe.ok else f"do not work ({probe.sandbox}); see `warpforge healthcheck`",
        )
        for finding in probe.findings:
            if not finding.ok or common.verbose:
                advice = f"; {finding.advice}" if finding.advice else ""
                yield "", f"{'ok' if finding.ok else 'NO'}  {finding.name}: {finding.text}{advice}"
    yield "version", f"warpforge {__version__}, as {'root' if os.geteuid() == 0 else 'an ordinary user'}"
