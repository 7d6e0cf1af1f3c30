"""``warpforge catalog mirror``: the wares of a catalog go to the warehouses that the workspace pushes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.cli.catalogs import NAME, chosen_catalog
from warpforge.cli.moving import JOBS, moving

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.model.atoms import WarehouseAddr


@click.command(cls=Command, name="mirror")
@NAME
@JOBS
@click.option(
    "--publish", is_flag=True, help="Also write into the catalog where its wares now are, for all who read it."
)
@click.pass_context
@pass_common
def mirror(common: Common, context: click.Context, name: str | None, jobs: int, *, publish: bool) -> None:
    """Push every ware that a catalog names to every warehouse in config/mirroring.json.

    Wares that are not here are fetched from where they may be had; what a warehouse has already is passed over.
    """
    with moving(common) as moves:
        chosen = chosen_catalog(context, moves.engine.stack, name, make=False)
        wares = {ware: None for _, _, release in chosen.releases() for ware in release.items.values()}
        goals = moves.transfer.pushes()
        if not goals:
            common.note("no warehouse to push to: .warpforge/config/mirroring.json names them")
        moves.push([*wares], goals, jobs)
        if publish:
            _publish(chosen, goals)


def _publish(catalog: Catalog, goals: list[WarehouseAddr]) -> None:
    """Every module says of its packtypes where they may be had; what it said before stays. Errors: ``store``."""
    from warpforge.catalog.edit import edit

    packtypes: dict[str, dict[str, None]] = {}
    for module, _, release in catalog.releases():
        packtypes.setdefault(module, {}).update((ware.packtype, None) for ware in release.items.values())
    for module, found in packtypes.items():
        with edit(catalog, module) as changed:
            for packtype in found:
                for goal in goals:
                    changed.add_module_mirror(goal, packtype=packtype)
