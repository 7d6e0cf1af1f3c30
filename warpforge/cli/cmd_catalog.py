"""``warpforge catalog``: names of releases of wares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from msgspec import UNSET

from warpforge.catalog.lookup import Lookup
from warpforge.catalog.tree import Catalog
from warpforge.cli.app import Common, Group, pass_common, printable, to_json
from warpforge.cli.catalogs import FORCE, NAME, here, remember
from warpforge.errors import Missing
from warpforge.model.atoms import CatalogRef

if TYPE_CHECKING:
    from warpforge.model.catalog import Mirrors, Release

LAZY = {
    "bundle": ("warpforge.cli.cmd_bundle:bundle", "Copy what a workspace's plots name into its own catalog."),
    "add": ("warpforge.cli.cmd_catalog_add:add", "Give a ware a name: an archive, a directory, a commit."),
    "check": ("warpforge.cli.cmd_catalog_check:check", "Say all that is wrong with a catalog."),
    "ingest-git-tags": ("warpforge.cli.cmd_catalog_add:ingest_git_tags", "Make a release of every tag."),
    "key": ("warpforge.cli.cmd_catalog_key:key", "Make and show the keys that sign."),
    "mirror": ("warpforge.cli.cmd_catalog_mirror:mirror", "Push the wares of a catalog to its warehouses."),
    "release": ("warpforge.cli.cmd_release:release", "Run a module and publish what it gives, with its replay."),
}


@click.group(cls=Group, name="catalog", lazy=LAZY, no_args_is_help=True)
@NAME
@FORCE
@click.pass_context
def catalog(context: click.Context, name: str | None, *, force: bool) -> None:
    """Catalogs give wares names that people can say: module:release:item."""
    remember(context, name, force=force)


@catalog.command("init")
@click.argument("name")
@pass_common
def init(common: Common, name: str) -> None:
    """Make an empty catalog in the root workspace."""
    from warpforge.catalog.edit import init_catalog

    made = init_catalog(here(common).root.catalogs_dir, name)
    common.note(f"made the catalog {name} at {made.path}")


@catalog.command("ls")
@click.argument("module", required=False)
@pass_common
def ls(common: Common, module: str | None) -> None:
    """List catalogs and the references in them; MODULE lists only that one."""
    for found in Lookup(here(common).catalog_layers()).catalogs():
        rows = list(_references(found, module))
        if common.json:
            print(to_json({"catalog": {"name": found.name, "path": str(found.path), "refs": [str(r) for r in rows]}}))
            continue
        common.result(printable(f"{found.name}  {found.path}"))
        for ref in rows:
            common.result(f"  {ref}")


@catalog.command("show")
@click.argument("ref", metavar="MODULE[:RELEASE[:ITEM]]")
@pass_common
def show(common: Common, ref: str) -> None:
    """Show a module, a release or an item: wares, metadata, mirrors, and where it was found."""
    module, _, rest = ref.partition(":")
    release, _, item = rest.partition(":")
    shown = 0
    for found in Lookup(here(common).catalog_layers()).catalogs():
        known = found.module(module)
        for name in known.releases if known else ():
            noun = found.release(module, name) if release in ("", name) else None
            if noun is None or (item and item not in noun.items):
                continue
            _show(common, found, module, noun, found.mirrors(module), item)
            shown += 1
    if not shown:
        raise Missing("catalog-missing-entry", f"no catalog here has {ref}", catalogRef=ref)


def _references(found: Catalog, module: str | None) -> Iterator[CatalogRef]:
    for name in found.modules() if module is None else [module]:
        known = found.module(name)
        for release in known.releases if known else ():
            noun = found.release(name, release)
            for item in noun.items if noun else ():
                yield CatalogRef(name, release, item)


def _show(common: Common, found: Catalog, module: str, release: Release, mirrors: Mirrors | None, item: str) -> None:
    items = {label: ware for label, ware in release.items.items() if item in ("", label)}
    by_ware = {} if mirrors is None or mirrors.by_ware is UNSET else mirrors.by_ware
    by_module = {} if mirrors is None or mirrors.by_module is UNSET else mirrors.by_module.get(module, {})
    if common.json:
        serial = {"module": module, "catalog": str(found.path), **release.to_serial()}
        serial["items"] = {label: str(ware) for label, ware in items.items()}
        print(to_json({"release": serial}))
        return
    common.result(f"{module}:{release.name}  in {printable(str(found.path))}")
    for label, ware in items.items():
        common.result(f"  {label}  {ware}")
        for address in (*by_ware.get(ware, ()), *by_module.get(ware.packtype, ())):
            common.result(f"    mirror {printable(str(address))}")
    for key, value in release.metadata.items():
        common.result(f"  {printable(key)}: {printable(value)}")
