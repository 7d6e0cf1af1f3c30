"""``warpforge catalog update``: what the repositories of catalogs have now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from warpforge.catalog.tree import Catalog
from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.cli.catalogs import FORCE, NAME, here, is_forced, is_named, named_catalog
from warpforge.errors import Missing, WarpforgeError, beneath
from warpforge.model.units import counted

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.engine.update import Update, Updater
    from warpforge.workspace.find import Stack, Workspace

CONFIG: Final = "catalogs.json"
DEFAULTS: Final = {"warpsys": "https://github.com/warptools/warpsys-catalog.git"}  # the original's
SHOWN: Final = 12  # releases that are told of, a catalog
MESSAGES: Final = {
    "local": "local catalog",
    "same": "already up to date",
    "updated": "updated",
    "installed": "installed",
}


@click.command(cls=Command, name="update")
@click.argument("names", nargs=-1, metavar="[CATALOG]...")
@NAME
@FORCE
@click.pass_context
@pass_common
def update(common: Common, context: click.Context, names: tuple[str, ...], name: str | None, *, force: bool) -> None:
    """Bring the catalogs of the root workspace up to date (default: all) with the git repositories they came from.

    First those are installed that .warpforge/config/catalogs.json names and that are not here; without that file it is
    the original's one, warpsys. What a repository published it may not take back, unless -f is given; neither is lost
    what was changed here.
    """
    stack = here(common)
    root = stack.root
    wanted = [*names, *([named_catalog(context, name)] if is_named(context, name) else [])]
    sources = _sources(root)
    known = {path.name for path in root.catalogs()}
    for one in wanted:
        if one not in known and one not in sources:
            raise Missing("missing", f"there is no catalog {one} (there is: {', '.join(sorted(known)) or 'none'})")
    updater = _updater(common, stack, force=is_forced(context, force=force))
    failures: list[WarpforgeError] = []
    for one in sorted({*known, *sources}, key=os.fsencode):
        if wanted and one not in wanted:
            continue
        try:
            if one in known:
                done = updater.update(Catalog(root.catalogs_dir / one))
            else:
                address, _, branch = sources[one].partition("#")
                common.note(printable(f"installing catalog {one} from {_shown(address)}"))
                done = updater.install(one, address, branch)
            show_update(common, done)
            if is_forced(context, force=force):
                _mind_belief(common, stack, root.catalogs_dir / one)
        except WarpforgeError as error:
            failures.append(beneath(error, f"catalog {one} was not updated", catalog=one))
            if sources is DEFAULTS and one not in known:
                common.note(f'a workspace without it has {{"catalogs.v1": {{}}}} in .warpforge/config/{CONFIG}')
    if failures:
        for failure in failures[:-1]:
            common.note(printable(f"{failure.message}: {failure.chain()[-1].message}"))
        raise failures[-1]


def install(common: Common, name: str, address: str, branch: str) -> None:
    """``catalog init --remote``. Errors: ``missing``; as ``Updater.install``."""
    if "://" not in address and os.path.isdir(address):
        address = os.path.abspath(address)
    elif address.startswith((".", "/")):
        raise Missing("missing", f"{address}: there is no such directory", path=address)
    show_update(common, _updater(common, here(common), force=False).install(name, address, branch))


def show_update(common: Common, done: Update) -> None:
    """How one catalog fared: the line that the original prints, and what came with it."""
    if common.json:
        steps = [step._asdict() for step in done.steps]
        line = {"name": done.name, "state": done.state, "commit": done.commit, "before": done.before, "releases": steps}
        print(to_json({"catalogupdate": line}))
        return
    if not common.quiet:
        common.result(printable(f"{done.name}: {MESSAGES[done.state]}"))
    told = [step for step in done.steps if done.state != "installed" or step.kind != "added"]
    for step in told[: None if common.verbose else SHOWN]:
        common.note(printable(f"  {step.kind:9}  {step}"))
    if len(told) > SHOWN and not common.verbose:
        common.note(f"  and {len(told) - SHOWN} more (--verbose names all)")
    if done.state == "installed":
        common.note(f"  {counted(len(done.steps), 'release')}")


def _mind_belief(common: Common, stack: Stack, path: Path) -> None:
    """Say that nothing of a catalog is believed, which --force took over all the same."""
    from warpforge.catalog.snapshot import Snapshots
    from warpforge.engine.catalogs import find_believer

    believer = find_believer(stack, path, common.note)
    if believer is not None:
        try:
            believer.check(Snapshots(path))
        except WarpforgeError as error:
            common.note(printable(f"  nothing of it is believed: {error.message}"))


def _updater(common: Common, stack: Stack, *, force: bool) -> Updater:
    from warpforge.engine.catalogs import find_believer
    from warpforge.engine.update import Updater

    jobs = len(os.sched_getaffinity(0))
    return Updater(
        stack.root.internal,
        common.settings.access(),
        force=force,
        jobs=jobs,
        believer=lambda path: find_believer(stack, path, common.note),
    )


def _sources(root: Workspace) -> dict[str, str]:
    """Errors: ``catalog-invalid``, ``serialization``, ``io``."""
    from warpforge.engine.reach import read_config

    path = root.config(CONFIG)
    data = read_config(path)
    if data is None:
        return DEFAULTS
    from warpforge.model.serial import load_catalog_sources

    return load_catalog_sources(data, str(path)).noun.sources


def _shown(address: str) -> str:
    from warpforge.mirror.protocol import shown

    return shown(address)
