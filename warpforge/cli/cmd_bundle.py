"""``warpforge catalog bundle``: a workspace gets all that its plots name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.cli.catalogs import FORCE, is_forced, seen
from warpforge.cli.conduct import CATALOG_AT
from warpforge.errors import Invalid

if TYPE_CHECKING:
    from warpforge.engine.bundle import Bundler
    from warpforge.engine.engine import Engine
    from warpforge.workspace.find import Workspace


@click.command(cls=Command, name="bundle")
@click.argument("targets", nargs=-1, metavar="[DIR|DIR/...]...")
@FORCE
@click.option("--recursive", "-r", is_flag=True, help="Also what the replays of those releases name, and so on.")
@click.option("--wares", "with_wares", is_flag=True, help="Also the wares, into the workspace's own warehouse.")
@CATALOG_AT
@click.pass_context
@pass_common
def bundle(
    common: Common,
    context: click.Context,
    targets: tuple[str, ...],
    *,
    force: bool,
    recursive: bool,
    with_wares: bool,
) -> None:
    """Copy what the plots of a workspace name from other catalogs into its own, .warpforge/catalog.

    The workspace is the nearest one, and must not be the root, whose catalogs are where things are copied from.
    """
    from warpforge.catalog.tree import Catalog
    from warpforge.cli.cmd_ware import opened
    from warpforge.engine.bundle import Bundler
    from warpforge.engine.sizes import Sizes, add_sizes
    from warpforge.workspace.targets import find_targets

    found = find_targets(targets, common.settings.cwd, common.note)
    directory = found[0].path.parent if found else common.settings.cwd
    with opened(common, directory) as engine:
        nearest = engine.stack.nearest
        if nearest.is_root:
            raise Invalid(
                "workspace",
                f"the workspace of {directory} is the root {nearest.path}, whose catalogs are here already: make one "
                f"for the module with `mkdir {os.path.join(directory, '.warpforge')}`",
                path=nearest.path,
            )
        goal = Catalog(nearest.internal / "catalog")
        elsewhere = seen(common, engine.stack, without=goal.path)
        bundler = Bundler(elsewhere, goal, recursive=recursive, force=is_forced(context, force=force))
        goal.path.mkdir(exist_ok=True)
        for vendored in bundler.bundle(engine.load(target)[0] for target in found if target.kind != "formula"):
            _say(common, f"{vendored.module}:{vendored.release}", vendored.source, changed=vendored.changed)
        if with_wares:
            _copy_wares(common, engine, bundler, nearest)
        add_sizes(nearest.internal, Sizes(engine).known(bundler.wares))


def _copy_wares(common: Common, engine: Engine, bundler: Bundler, workspace: Workspace) -> None:
    """Every ware into the workspace's warehouse, as a mirror of this machine keeps it."""
    from urllib.parse import quote

    from warpforge.cli.moving import moving
    from warpforge.model.atoms import WarehouseAddr

    goal = WarehouseAddr(f"ca+file://{quote(os.fspath(workspace.internal / 'warehouse'))}")
    with moving(common) as moves:
        moves.push([*bundler.wares], [goal], 4)


def _say(common: Common, ref: str, source: str, *, changed: bool) -> None:
    if common.json:
        print(to_json({"bundled": {"ref": ref, "from": source, "changed": changed}}))
    elif changed:
        common.result(printable(f"{ref}  from {source}"))
