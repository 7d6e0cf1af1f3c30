"""``warpforge ware pin`` and ``unpin``: what garbage collection keeps because a person said so."""

from __future__ import annotations

import click

from warpforge.cli.app import Command, Common, pass_common, to_json
from warpforge.errors import Missing
from warpforge.model.atoms import WareId
from warpforge.store.store import Store
from warpforge.workspace.find import find_stack


@click.command(cls=Command, name="pin")
@click.argument("wareid", metavar="[WAREID]", required=False)
@click.argument("name", metavar="[NAME]", required=False)
@pass_common
def pin(common: Common, wareid: str | None, name: str | None) -> None:
    """Keep a ware: garbage collection leaves it. Without WAREID, list what is pinned.

    NAME is for people; pinning another ware under the same name lets go of the one before.
    """
    with _store(common) as store:
        if wareid is None:
            for known, ware in store.kept.pins():
                common.result(
                    to_json({"pin": {"name": known, "ware": str(ware)}}) if common.json else f"{known} {ware}"
                )
            return
        ware = WareId.parse(wareid)
        with store.use():
            if not store.has(ware):
                raise Missing("missing", f"ware {ware} is not here: `warpforge ware fetch` brings it", wareId=ware)
            made = store.kept.pin(ware, name or "")
        common.note(f"pinned as {made}")


@click.command(cls=Command, name="unpin")
@click.argument("what", metavar="WAREID|NAME")
@pass_common
def unpin(common: Common, what: str) -> None:
    """Let go of a pin, by its name or its ware."""
    with _store(common) as store:
        for name in store.kept.unpin(what):
            common.note(f"no longer pinned: {name}")


def _store(common: Common) -> Store:
    settings = common.settings
    return Store(find_stack(settings.cwd, settings.home).root.internal, warehouse=settings.warehouse)
