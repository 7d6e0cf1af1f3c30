"""``warpforge catalog``: names of releases of wares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from msgspec import UNSET

from warpforge.catalog.lookup import Lookup
from warpforge.catalog.tree import Catalog
from warpforge.cli.app import Common, Group, pass_common, printable, to_json
from warpforge.cli.catalogs import FORCE, NAME, chosen_catalog, here, is_forced, remember
from warpforge.cli.units import MAX_UNPACKED
from warpforge.errors import Missing
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId

if TYPE_CHECKING:
    from warpforge.model.catalog import Mirrors, Release

LAZY = {
    "check": ("warpforge.cli.cmd_catalog_check:check", "Say all that is wrong with a catalog."),
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


@catalog.group("add", no_args_is_help=True)
def add() -> None:
    """Publish a ware under a name."""


@add.command("git")
@click.argument("ref", metavar="MODULE:RELEASE:ITEM")
@click.argument("address", metavar="ADDR")
@click.argument("gitref", metavar="[REF]", default="HEAD")
@NAME
@FORCE
@click.pass_context
@pass_common
def add_git(
    common: Common, context: click.Context, ref: str, address: str, gitref: str, name: str | None, *, force: bool
) -> None:
    """Give the commit that REF names in the repository at ADDR (a URL, or a directory) the name MODULE:RELEASE:ITEM.

    The repository is noted as the mirror of the module's git wares; nothing of it is stored yet.
    """
    from warpforge.catalog.edit import add_item
    from warpforge.cli.cmd_scan import repository_address, scan_repository

    parsed = CatalogRef.parse(ref)
    mirror = WarehouseAddr.parse(repository_address(address))
    chosen = chosen_catalog(context, here(common), name)
    ware = scan_repository(common, mirror, gitref)
    add_item(chosen, parsed, ware, module_address=mirror, force=is_forced(context, force=force))
    _say_added(common, parsed, ware, chosen)


@add.command("tar")
@click.argument("ref", metavar="MODULE:RELEASE:ITEM")
@click.argument("address", metavar="ADDR")
@click.option("--packtype", "-t", default="tar", show_default=True, metavar="PACKTYPE", help="tar, zip or ztar.")
@NAME
@FORCE
@MAX_UNPACKED
@click.pass_context
@pass_common
def add_tar(
    common: Common, context: click.Context, ref: str, address: str, packtype: str, name: str | None, *, force: bool
) -> None:
    """Read the archive at ADDR (a file, or a URL), and give its ware the name MODULE:RELEASE:ITEM.

    The bytes are kept in the warehouse; a URL is noted as the ware's mirror.
    """
    from warpforge.catalog.edit import add_item
    from warpforge.cli.keeping import keep_named

    parsed = CatalogRef.parse(ref)
    stack = here(common)
    chosen = chosen_catalog(context, stack, name)
    ware = keep_named(common, stack, address, packtype)
    mirror = WarehouseAddr.parse(address) if "://" in address else None
    add_item(chosen, parsed, ware, address=mirror, force=is_forced(context, force=force))
    _say_added(common, parsed, ware, chosen)


def _say_added(common: Common, ref: CatalogRef, ware: WareId, chosen: Catalog) -> None:
    if common.json:
        print(to_json({"added": {"ref": str(ref), "ware": str(ware), "catalog": chosen.name}}))
    else:
        common.note(f"{ref} is {ware} in the catalog {chosen.name}")


@add.command("oci")
@click.argument("ref", metavar="MODULE:RELEASE:ITEM")
@click.argument("image", metavar="IMAGE")
@click.option("--platform", metavar="OS/ARCH", default="", help="Which one of the image's platforms.")
@NAME
@FORCE
@MAX_UNPACKED
@click.pass_context
@pass_common
def add_oci(
    common: Common, context: click.Context, ref: str, image: str, platform: str, name: str | None, *, force: bool
) -> None:
    """Bring IMAGE (HOST/NAME:TAG, an OCI layout, what docker save writes), and name its ware MODULE:RELEASE:ITEM.

    The tree is kept in the warehouse; a registry's repository is noted as the ware's mirror.
    """
    from warpforge.catalog.edit import add_item
    from warpforge.cli.imaging import keep_image
    from warpforge.engine.images import mirror_of

    parsed = CatalogRef.parse(ref)
    chosen = chosen_catalog(context, here(common), name)
    ware, _ = keep_image(common, image, platform)
    add_item(chosen, parsed, ware, address=mirror_of(image), force=is_forced(context, force=force))
    if common.json:
        print(to_json({"added": {"ref": str(parsed), "ware": str(ware), "catalog": chosen.name}}))
    else:
        common.note(f"{parsed} is {ware} in the catalog {chosen.name}")


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
