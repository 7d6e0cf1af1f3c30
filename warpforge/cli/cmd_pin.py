"""``warpforge ware pin`` and ``unpin``: what garbage collection keeps because a person said so."""

from __future__ import annotations

import click

from warpforge.cli.app import WARE, Command, Common, pass_common, to_json
from warpforge.cli.cmd_ware import named, opened
from warpforge.cli.conduct import CATALOG_AT
from warpforge.errors import Missing
from warpforge.store.store import Store
from warpforge.workspace.find import find_stack


@click.command(cls=Command, name="pin")
@click.argument("what", metavar=f"[{WARE}]", required=False)
@click.argument("name", metavar="[NAME]", required=False)
@CATALOG_AT
@pass_common
def pin(common: Common, what: str | None, name: str | None) -> None:
    """Keep a ware: garbage collection leaves it. Without one, list what is pinned.

    NAME is for people; pinning another ware under the same name lets go of the one before.
    """
    if what is None:
        with _store(common) as store:
            for known, ware in store.kept.pins():
                common.result(
                    to_json({"pin": {"name": known, "ware": str(ware)}}) if common.json else f"{known} {ware}"
                )
        return
    with opened(common) as engine, engine.store.use():
        ware = named(common, engine, what)
        if not engine.store.has(ware):
            raise Missing("missing", f"ware {ware} is not here: `warpforge ware fetch` brings it", wareId=ware)
        made = engine.store.kept.pin(ware, name or "")
    common.note(f"pinned as {made}")


@click.command(cls=Command, name="unpin")
@click.argument("what", metavar=f"{WARE}|NAME")
@CATALOG_AT
@pass_common
def unpin(common: Common, what: str) -> None:
    """Let go of a pin, by its name or its ware."""
    with opened(common) as engine:
        pins = engine.store.kept
        is_name = ":" not in what or any(name == what for name, _ in pins.pins())
        for name in pins.unpin(what if is_name else str(named(common, engine, what))):
            common.note(f"no longer pinned: {name}")


def _store(common: Common) -> Store:
    settings = common.settings
    return Store(find_stack(settings.cwd, settings.home).root.internal, warehouse=settings.warehouse)
