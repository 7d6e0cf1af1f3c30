"""``warpforge catalog mirror``: the wares of a catalog go to the warehouses that the workspace pushes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.cli.catalogs import NAME, chosen_catalog, mind_signature
from warpforge.cli.moving import JOBS, moving

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.model.atoms import WarehouseAddr, WareId


@click.command(cls=Command, name="mirror")
@NAME
@JOBS
@click.option(
    "--publish", is_flag=True, help="Also write into the catalog where its wares now are, for all who read it."
)
@click.pass_context
@pass_common
def mirror(common: Common, context: click.Context, name: str | None, jobs: int, *, publish: bool) -> None:
    """Push every ware that a catalog names, and that its replays take, to every warehouse in config/mirroring.json.

    Wares that are not here are fetched from where they may be had; what a warehouse has already is passed over.
    """
    with moving(common) as moves:
        chosen = chosen_catalog(context, moves.engine.stack, name, make=False)
        named = _named(chosen)
        goals = moves.transfer.pushes()
        if not goals:
            common.note("no warehouse to push to: .warpforge/config/mirroring.json names them")
        moves.push([*dict.fromkeys(ware for wares in named.values() for ware in wares)], goals, jobs)
        if publish and goals:
            _publish(chosen, named, goals)
            mind_signature(common, chosen)


def _named(catalog: Catalog) -> dict[str, dict[WareId, None]]:
    """By module the wares of its releases, and those that their replays take by nothing but their id."""
    from warpforge.plan.refs import wares

    found: dict[str, dict[WareId, None]] = {}
    for module, _, release in catalog.releases():
        mine = found.setdefault(module, {})
        mine.update(dict.fromkeys(release.items.values()))
        plot = catalog.replay(module, release.replay) if release.replay else None
        mine.update(dict.fromkeys(wares(plot) if plot else ()))
    return found


def _publish(catalog: Catalog, named: dict[str, dict[WareId, None]], goals: list[WarehouseAddr]) -> None:
    """Every module says of its packtypes where they may be had; what it said before stays. Errors: ``store``."""
    from warpforge.catalog.edit import edit

    for module, wares in named.items():
        with edit(catalog, module) as changed:
            for packtype in dict.fromkeys(ware.packtype for ware in wares):
                for goal in goals:
                    changed.add_module_mirror(goal, packtype=packtype)
