"""``warpforge catalog mirror``: the wares of a catalog go to the warehouses that the workspace pushes to."""

from __future__ import annotations

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.cli.catalogs import NAME, chosen_catalog
from warpforge.cli.moving import JOBS, moving


@click.command(cls=Command, name="mirror")
@NAME
@JOBS
@click.pass_context
@pass_common
def mirror(common: Common, context: click.Context, name: str | None, jobs: int) -> None:
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
