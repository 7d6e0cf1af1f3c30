"""``warpforge catalog release``: a module's results get a name that people can say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, refuse_argument, to_json
from warpforge.cli.catalogs import FORCE, NAME, chosen_catalog, is_forced, mind_signature
from warpforge.model.names import is_release_name

if TYPE_CHECKING:
    from warpforge.engine.release import Released


def _refuse_past(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        refuse_argument(
            "--catalog-at is not for releases: what a release was made of is told by references, which mean to "
            "everybody what the catalog says when it is published; `run --catalog-at` tells what the past would give, "
            "and `catalog bump --catalog-at --write` takes the releases of then"
        )


@click.command(cls=Command, name="release")
@click.argument("release_name", metavar="RELEASE")
@click.argument("module", metavar="[DIR]", default=".")
@NAME
@FORCE
@click.option("--freeze", is_flag=True, help="Put the wares that ingests gave in their place.")
@click.option("--duals", is_flag=True, help="Also say which tree a ware has whose id does not cover all of it.")
@click.option("--sizes", is_flag=True, help="Also say how large the packed wares are, for who is offline.")
@click.option("--extended", is_flag=True, help="Also write what readers of the original's schema refuse.")
@click.option("--catalog-at", hidden=True, expose_value=False, callback=_refuse_past)
@click.option("--metadata", "-m", multiple=True, metavar="K=V", help="More to say of the release; may be repeated.")
@click.pass_context
@pass_common
def release(
    common: Common,
    context: click.Context,
    /,
    release_name: str,
    module: str,
    name: str | None,
    metadata: tuple[str, ...],
    *,
    force: bool,
    **how: bool,
) -> None:
    """Run the module in DIR (default: here) and publish what its plot gives as RELEASE, with the plot as its replay.

    Candidates among its inputs become releases first, under the labels they have.
    """
    from warpforge.cli.cmd_ware import opened
    from warpforge.engine.release import How, Releaser
    from warpforge.workspace.targets import find_targets

    if not is_release_name(release_name):
        refuse_argument(f"not a release name: {release_name!r}; one is letters, digits and - _ . + ~, at most 127")
    (target,) = find_targets([module], common.settings.cwd)
    if target.kind != "module":
        refuse_argument(f"{module} has no module.wf: only what has a name can be released")
    wanted = How(**how, force=is_forced(context, force=force), metadata=_metadata(metadata))
    with opened(common, target.path.parent) as engine:
        catalog = chosen_catalog(context, engine.stack, name)
        for made in Releaser(engine, catalog, wanted).release(target, release_name):
            _show(common, made, catalog.name)
    mind_signature(common, catalog)


def _metadata(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals or key == "replay":
            refuse_argument(f"--metadata {pair}: K=V is wanted, and the replay is written by itself")
        found[key] = value
    return found


def _show(common: Common, made: Released, catalog: str) -> None:
    if common.json:
        serial = {"module": made.module, "catalog": catalog, "changed": made.changed, **made.release.to_serial()}
        print(to_json({"released": serial}))
        return
    for label, ware in made.release.items.items():
        common.result(f"{made.module}:{made.release.name}:{label} -> {ware}")
    if not made.changed:
        common.note(f"{made.module}:{made.release.name} was in the catalog {catalog} already, word for word")
