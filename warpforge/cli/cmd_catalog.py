"""``warpforge catalog``: names of releases of wares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from msgspec import UNSET

from warpforge.catalog.tree import Catalog
from warpforge.cli.app import Common, Group, pass_common, printable, refuse_argument, to_json
from warpforge.cli.catalogs import FORCE, NAME, here, remember, seen_catalogs
from warpforge.cli.conduct import CATALOG_AT
from warpforge.errors import Missing
from warpforge.model.atoms import CatalogRef
from warpforge.model.catalog import HAZARD
from warpforge.model.names import without_kind

if TYPE_CHECKING:
    from warpforge.model.catalog import Mirrors, Release

LAZY = {
    "bundle": ("warpforge.cli.cmd_bundle:bundle", "Copy what a workspace's plots name into its own catalog."),
    "bump": ("warpforge.cli.cmd_bump:bump", "Propose newer releases for what plots take from catalogs."),
    "add": ("warpforge.cli.cmd_catalog_add:add", "Give a ware a name: an archive, a directory, a commit."),
    "check": ("warpforge.cli.cmd_catalog_check:check", "Say all that is wrong with a catalog."),
    "generate-html": ("warpforge.cli.cmd_catalog_html:generate_html", "Write a catalog as pages for people."),
    "serve": ("warpforge.cli.cmd_catalog_html:serve", "Write a catalog as pages, and serve them to this machine."),
    "hazard": ("warpforge.cli.cmd_catalog_hazard:hazard", "Mark a release as hazardous, or no longer."),
    "ingest-git-tags": ("warpforge.cli.cmd_catalog_add:ingest_git_tags", "Make a release of every tag."),
    "key": ("warpforge.cli.cmd_catalog_key:key", "Make and show the keys that sign."),
    "known": ("warpforge.cli.cmd_catalog_known:known", "List what references meant when they were used here."),
    "log": ("warpforge.cli.cmd_catalog_sign:log", "Show the snapshots of a catalog, which nobody can rewrite."),
    "mirror": ("warpforge.cli.cmd_catalog_mirror:mirror", "Push the wares of a catalog to its warehouses."),
    "update": ("warpforge.cli.cmd_catalog_update:update", "Bring catalogs up to date with their git repositories."),
    "sign": ("warpforge.cli.cmd_catalog_sign:sign", "Sign a catalog as it stands."),
    "trust": ("warpforge.cli.cmd_catalog_trust:trust", "Say whose signatures a catalog needs."),
    "verify": ("warpforge.cli.cmd_catalog_sign:verify", "Verify that a catalog is what was signed."),
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
@click.option("--remote", "-r", metavar="URL|DIR", default="", help="From a git repository; `update` follows it.")
@click.option("--branch", "-b", metavar="BRANCH", default="", help="Of the repository; default: its own.")
@pass_common
def init(common: Common, name: str, remote: str, branch: str) -> None:
    """Make a catalog in the root workspace, empty or from a git repository."""
    if remote:
        from warpforge.cli.cmd_catalog_update import install

        install(common, name, remote, branch)
        return
    if branch:
        refuse_argument("--branch is of a repository: say --remote, too")
    from warpforge.catalog.edit import init_catalog

    made = init_catalog(here(common).root.catalogs_dir, name)
    common.note(f"made the catalog {name} at {made.path}")


@catalog.command("ls")
@click.argument("module", required=False)
@click.option("--refs", is_flag=True, help="Each catalog with its place and every reference in it.")
@CATALOG_AT
@click.pass_context
@pass_common
def ls(common: Common, context: click.Context, module: str | None, *, refs: bool) -> None:
    """List the catalogs of the root workspace, or the references of a MODULE.

    MODULE is looked for in the catalogs of every workspace from here up; --refs lists all of these. With `catalog -n
    CATALOG` both look into that one alone.
    """
    stack = here(common)
    if not (refs or module or common.json):
        for path in stack.root.catalogs():
            common.result(printable(path.name))
        return
    known = 0
    for found in seen_catalogs(common, context, stack, None):
        rows = list(_references(found, module))
        known += len(rows)
        if common.json:
            print(to_json({"catalog": {"name": found.name, "path": str(found.path), "refs": [str(r) for r in rows]}}))
            continue
        if refs:
            common.result(printable(f"{found.name}  {found.path}"))
        for ref in rows:
            common.result(f"  {ref}" if refs else str(ref))
    if module and not known:
        raise Missing("catalog-missing-entry", f"no catalog here has a module {module}", module=module)


@catalog.command("show")
@click.argument("ref", metavar="MODULE[:RELEASE[:ITEM]]")
@CATALOG_AT
@NAME
@click.pass_context
@pass_common
def show(common: Common, context: click.Context, ref: str, name: str | None) -> None:
    """Show what a module has, as a tree; of a release or an item, all there is.

    The tree has the wares, too, under --verbose. Without -n every catalog that is seen from here is looked into.
    """
    module, _, rest = without_kind(ref).partition(":")
    release, _, item = rest.partition(":")
    stack = here(common)
    shown = 0
    for found in seen_catalogs(common, context, stack, name):
        known = found.module(module)
        nouns = [found.release(known, one) for one in known.releases if release in ("", one)] if known else []
        releases = [noun for noun in nouns if noun is not None and (not item or item in noun.items)]
        if known is not None and not release and not common.json:
            _show_tree(common, found, module, releases)
            shown += 1
            continue
        for noun in releases:
            _show(common, found, module, noun, found.mirrors(module), item)
        shown += len(releases)
    if not shown:
        raise Missing("catalog-missing-entry", f"no catalog here has {ref}", catalogRef=ref)


def _show_tree(common: Common, found: Catalog, module: str, releases: Sequence[Release]) -> None:
    """As the original draws it."""
    if common.verbose:
        common.note(f"in the catalog {found.name} at {found.path}")
    common.result(module)
    for number, release in enumerate(releases, 1):
        is_last = number == len(releases)
        hazard = "" if release.hazard is None else f"  HAZARD: {release.hazard}"
        common.result(printable(f" {'└─' if is_last else '├─'} {module}:{release.name}{hazard}"))
        for place, (label, ware) in enumerate(release.items.items(), 1):
            branch = "└─" if place == len(release.items) else "├─"
            told = f" ({ware})" if common.verbose else ""
            common.result(f" {' ' if is_last else '│'}   {branch} {module}:{release.name}:{label}{told}")


def _references(found: Catalog, module: str | None) -> Iterator[CatalogRef]:
    for name in found.modules() if module is None else [module]:
        known = found.module(name)
        for release in known.releases if known else ():
            noun = found.release(known, release) if known else None
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
        common.result(f"  {'HAZARD' if key == HAZARD else printable(key)}: {printable(value)}")
