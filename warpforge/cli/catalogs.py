"""Which catalog a command is about: ``-n`` and ``-f`` come before the command of ``warpforge catalog`` or after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from warpforge.catalog.tree import Catalog
from warpforge.cli.app import Common, refuse_argument
from warpforge.errors import Missing
from warpforge.workspace.find import Stack, find_stack

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.catalog.lookup import Lookup

DEFAULT: Final = "default"
NAME: Final = click.option("--name", "-n", metavar="CATALOG", help=f"Which catalog; default: {DEFAULT}.")
FORCE: Final = click.option("--force", "-f", is_flag=True, help="Replace what stands for something else.")
_NAME: Final = "catalog-name"
_FORCE: Final = "catalog-force"


def remember(context: click.Context, name: str | None, *, force: bool) -> None:
    """What was said before the command's name."""
    context.meta[_NAME] = name
    context.meta[_FORCE] = force


def here(common: Common) -> Stack:
    """The workspaces that matter here."""
    return find_stack(common.settings.cwd, common.settings.home)


def seen(common: Common, stack: Stack, *, without: Path | None = None) -> Lookup:
    """What is looked up in from here, as of --catalog-at. Errors: as ``open_lookup``."""
    from warpforge.engine.catalogs import open_lookup

    return open_lookup(stack, common.note, at=common.catalog_at, without=without)


def seen_catalogs(common: Common, context: click.Context, stack: Stack, name: str | None) -> list[Catalog]:
    """The catalog that -n names, else every one that is seen from here, as of --catalog-at.

    Errors: as ``open_lookup``, ``chosen_catalog``.
    """
    if not is_named(context, name):
        return [*seen(common, stack).catalogs()]
    from warpforge.engine.catalogs import open_catalog

    path = chosen_catalog(context, stack, name, make=False).path
    return [open_catalog(stack, path, common.note, at=common.catalog_at)]


def is_forced(context: click.Context, *, force: bool) -> bool:
    """Whether -f was given, before the command or after."""
    return force or bool(context.meta.get(_FORCE))


def is_named(context: click.Context, name: str | None) -> bool:
    """Whether -n was given, before the command or after."""
    return bool(name or context.meta.get(_NAME))


def named_catalog(context: click.Context, name: str | None) -> str:
    """The name that was given, before the command or after, else the default."""
    return name or context.meta.get(_NAME) or DEFAULT


def chosen_catalog(context: click.Context, stack: Stack, name: str | None, *, make: bool = True) -> Catalog:
    """The catalog to work on; the default one is made when it is not there (unless ``make`` is false).

    Errors: ``missing``, ``invalid-argument``.
    """
    from warpforge.catalog.edit import init_catalog
    from warpforge.model.names import is_catalog_name

    wanted = named_catalog(context, name)
    directory = stack.root.catalogs_dir
    path = directory / wanted
    if path.is_dir() and path.parent == directory:
        return Catalog(path)
    if not is_catalog_name(wanted):
        refuse_argument(f"not a catalog name: {wanted!r}")
    if make and wanted == DEFAULT:
        return init_catalog(directory, DEFAULT, shared=True)  # as many may publish first at once as like
    known = ", ".join(sorted(p.name for p in stack.root.catalogs())) or "none"
    raise Missing("missing", f"there is no catalog {wanted} (there is: {known}); make it with catalog init", path=path)


def mind_signature(common: Common, catalog: Catalog) -> None:
    """Tell whoever changed a signed catalog what is left to be done."""
    if not common.json and (catalog.path / "_snapshots" / "head.json").exists():
        common.note(f"the catalog {catalog.name} is signed: others believe this once it is signed again (catalog sign)")
