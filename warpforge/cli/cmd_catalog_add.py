"""``warpforge catalog add`` and ``ingest-git-tags``: what is somewhere else gets a name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, Group, pass_common, printable, refuse_argument, to_json
from warpforge.cli.catalogs import FORCE, NAME, chosen_catalog, here, is_forced, mind_signature
from warpforge.cli.units import MAX_UNPACKED
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.mirror.git import GitRemote

REF = click.argument("ref", metavar="MODULE:RELEASE:ITEM")


@click.group(cls=Group, name="add", no_args_is_help=True)
def add() -> None:
    """Publish a ware under a name."""


@add.command("tar", short_help="An archive: a file, or what is at a URL.")
@REF
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
    _add_archive(common, context, ref, address, packtype, name, force=force)


@add.command("zip", short_help="A zip; a wheel is one.")
@REF
@click.argument("address", metavar="ADDR")
@NAME
@FORCE
@MAX_UNPACKED
@click.pass_context
@pass_common
def add_zip(common: Common, context: click.Context, ref: str, address: str, name: str | None, *, force: bool) -> None:
    """As `add tar`, for a zip (a wheel is one)."""
    _add_archive(common, context, ref, address, "zip", name, force=force)


@add.command("dir", short_help="A directory.")
@REF
@click.argument("directory", metavar="DIR")
@NAME
@FORCE
@click.pass_context
@pass_common
def add_dir(common: Common, context: click.Context, ref: str, directory: str, name: str | None, *, force: bool) -> None:
    """Pack DIR as `ingest:dir:` does (what .wfignore names is left out), and give its ware the name."""
    from warpforge.cli.cmd_ware import opened
    from warpforge.model.atoms import Ingest

    parsed = CatalogRef.parse(ref)
    with opened(common) as engine, engine.store.use():
        chosen = chosen_catalog(context, engine.stack, name)
        ware = engine.ingester.ingest(Ingest("dir", os.path.abspath(directory)), Path("/"))
    _publish(common, chosen, parsed, ware, force=is_forced(context, force=force))


@add.command("git", short_help="A commit of a repository.")
@REF
@click.argument("address", metavar="URL|DIR")
@click.argument("revision", metavar="[GITREF]", default="HEAD")
@NAME
@FORCE
@click.pass_context
@pass_common
def add_git(
    common: Common, context: click.Context, ref: str, address: str, revision: str, name: str | None, *, force: bool
) -> None:
    """Give the commit that GITREF names now in a repository the name MODULE:RELEASE:ITEM.

    The repository is noted as the mirror of the module's git wares; nothing of it is stored yet.
    """
    from warpforge.cli.cmd_scan import repository_address, scan_repository

    parsed = CatalogRef.parse(ref)
    where = WarehouseAddr.parse(repository_address(address))
    chosen = chosen_catalog(context, here(common), name)
    ware = scan_repository(common, where, revision)
    _publish(common, chosen, parsed, ware, module_address=where, force=is_forced(context, force=force))


@add.command("oci", short_help="An image of a registry, or in a file.")
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
    from warpforge.cli.imaging import keep_image
    from warpforge.engine.images import mirror_of

    parsed = CatalogRef.parse(ref)
    chosen = chosen_catalog(context, here(common), name)
    ware, _ = keep_image(common, image, platform)
    _publish(common, chosen, parsed, ware, address=mirror_of(image), force=is_forced(context, force=force))


@click.command(cls=Command, name="ingest-git-tags")
@click.argument("module", metavar="MODULE")
@click.argument("address", metavar="URL")
@click.argument("item", metavar="ITEM")
@NAME
@FORCE
@click.pass_context
@pass_common
def ingest_git_tags(
    common: Common, context: click.Context, module: str, address: str, item: str, name: str | None, *, force: bool
) -> None:
    """Make a release of MODULE of every tag in the repository at URL, with its commit as ITEM.

    A tag whose release has the item already is passed over, unless forced; so is one that no release can be called.
    """
    from warpforge.catalog.edit import edit
    from warpforge.cli.cmd_scan import repository_address
    from warpforge.model.names import is_item_name, is_release_name, parse_module_name

    parsed = parse_module_name(module)
    if not is_item_name(item):
        refuse_argument(f"not an item name: {item!r}")
    chosen = chosen_catalog(context, here(common), name)
    where = WarehouseAddr.parse(repository_address(address))
    with _remote(common, where) as (remote, work):
        tags = remote.tags(work / "git")
    if not tags:
        common.note("the repository has no tags")
    forced = is_forced(context, force=force)
    with edit(chosen, parsed) as changed:
        for tag, commit in tags.items():
            if not is_release_name(tag):
                common.note(printable(f"the tag {tag} cannot be the name of a release: passed over"))
                continue
            ref, ware = CatalogRef(parsed, tag, item), WareId("git", commit)
            if changed.item(ref) is not None and not forced:
                common.note(f"catalog already has item {ref}")
                continue
            changed.put_item(ref, ware)
            changed.add_module_mirror(where, packtype="git")
            _say(common, chosen, ref, ware)


def _add_archive(
    common: Common, context: click.Context, ref: str, address: str, packtype: str, name: str | None, *, force: bool
) -> None:
    from warpforge.cli.keeping import keep_named

    parsed = CatalogRef.parse(ref)
    stack = here(common)
    chosen = chosen_catalog(context, stack, name)
    ware = keep_named(common, stack, address, packtype)
    mirror = WarehouseAddr.parse(address) if "://" in address else None
    _publish(common, chosen, parsed, ware, address=mirror, force=is_forced(context, force=force))


def _publish(
    common: Common,
    chosen: Catalog,
    ref: CatalogRef,
    ware: WareId,
    *,
    address: WarehouseAddr | None = None,
    module_address: WarehouseAddr | None = None,
    force: bool,
) -> None:
    from warpforge.catalog.edit import add_item

    add_item(chosen, ref, ware, address=address, module_address=module_address, force=force)
    _say(common, chosen, ref, ware)


def _say(common: Common, chosen: Catalog, ref: CatalogRef, ware: WareId) -> None:
    if common.json:
        print(to_json({"added": {"ref": str(ref), "ware": str(ware), "catalog": chosen.name}}))
    else:
        common.note(f"{ref} is {ware} in the catalog {chosen.name}")
        mind_signature(common, chosen)


@contextmanager
def _remote(common: Common, address: WarehouseAddr) -> Iterator[tuple[GitRemote, Path]]:
    """The repository, and a directory for what is learned of it."""
    from warpforge.fsx.scratch import scratch
    from warpforge.mirror.git import GitRemote

    with scratch() as work:
        yield GitRemote.of(address, common.settings.access()), work
