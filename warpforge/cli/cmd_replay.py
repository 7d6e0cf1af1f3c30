"""``warpforge replay``: is what a catalog says true?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import conducted
from warpforge.errors import Failed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warpforge.catalog.tree import Catalog
    from warpforge.engine.engine import Engine
    from warpforge.engine.replay import Replayer, Verdict
    from warpforge.model.catalog import Release

GOOD: Final = ("same", "no-replay")


@click.command(cls=Command, name="replay")
@click.argument("refs", nargs=-1, metavar="[MODULE[:RELEASE[:ITEM]]]...")
@click.option("--all", "every", is_flag=True, help="Every release of the catalogs here that has a replay.")
@click.option("--memo", is_flag=True, help="Let the memo answer what was run here before.")
@click.option("--publish", is_flag=True, help="Keep the verdicts in the catalog, too, for all who read it.")
@click.option("--offline", is_flag=True, help="Ask nothing beyond this machine.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Boxes at once; default: the cores.")
@conducted
@pass_common
def replay(
    common: Common,
    refs: tuple[str, ...],
    *,
    every: bool,
    memo: bool,
    publish: bool,
    offline: bool,
    jobs: int | None,
) -> None:
    """Build releases again from their replays, and compare with what was published.

    What a replay needs and nobody has is built by its own replay first. Exit status 1 when anything differs.
    The verdicts are kept in the workspace, unless --memo answered instead of a box.
    """
    from warpforge.engine.replay import Replayer

    if not refs and not every:
        refuse_argument("what? Name MODULE[:RELEASE[:ITEM]], or say --all")
    if memo and publish:
        refuse_argument("--memo builds nothing again: there is nothing to --publish")
    verdicts: list[Verdict] = []
    with _opened(common, force=not memo, offline=offline, jobs=jobs) as engine:
        replayer = Replayer(engine)
        for catalog, module, release, item in _meant(replayer, refs, every=every):
            found = replayer.replay(catalog, module, release, item)
            if not memo:
                _keep(engine, catalog, module, release, found, publish=publish)
            for verdict in found:
                verdicts.append(verdict)
                _show(common, verdict)
    bad = [verdict for verdict in verdicts if verdict.verdict not in GOOD]
    if bad:
        names = ", ".join(f"{verdict.ref} {verdict.verdict}" for verdict in bad)
        code = "ware-mismatch" if any(verdict.verdict == "differs" for verdict in bad) else "formula-execution-failed"
        raise Failed(code, f"{len(bad)} of {len(verdicts)} items are not what was published: {names}", reason="replay")


def _keep(
    engine: Engine, catalog: Catalog, module: str, release: Release, verdicts: list[Verdict], *, publish: bool
) -> None:
    from warpforge.engine import verdicts as keeping

    document = keeping.document(module, release, verdicts)
    if document is not None:
        keeping.keep_here(engine.stack.root.internal, document)
        if publish:
            keeping.publish(catalog, document)


def _meant(replayer: Replayer, refs: Iterable[str], *, every: bool) -> Iterable[tuple[Catalog, str, Release, str]]:
    from warpforge.engine.replay import Wanted
    from warpforge.model.names import parse_module_name

    if every:
        yield from ((*one, "") for one in replayer.every())
    for ref in refs:
        module, *rest = ref.split(":")
        if len(rest) > 2:
            refuse_argument(f"{ref}: MODULE[:RELEASE[:ITEM]] is wanted")
        wanted = Wanted(parse_module_name(module), *rest)
        yield from ((*one, wanted.item) for one in replayer.wanted(wanted))


def _opened(common: Common, *, force: bool, offline: bool, jobs: int | None) -> Engine:
    from warpforge.cli.render import make_reporter
    from warpforge.engine.engine import Engine
    from warpforge.store.guid import new_guid
    from warpforge.workspace.find import find_stack

    settings = common.settings
    options = common.options(
        jobs=jobs or 0, force=force, forget=force, remake=True, offline=offline, invocation=new_guid()
    )
    return Engine(find_stack(settings.cwd, settings.home), make_reporter(common), options)


def _show(common: Common, verdict: Verdict) -> None:
    if common.json:
        print(to_json({"verdict": verdict.to_serial()}))
        return
    common.result(printable(f"{verdict.verdict:<10}{verdict.ref}  {verdict.published}"))
    if verdict.made is not None and verdict.made != verdict.published:
        common.result(f"          it gave {verdict.made}")
    for line in verdict.why:
        common.result(printable(f"          {line}"))
