"""``warpforge replay``: is what a catalog says true?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import CATALOG_AT, conducted
from warpforge.cli.signing import Believed, believing
from warpforge.errors import Failed, WarpforgeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warpforge.catalog.keys import PrivateKey
    from warpforge.catalog.tree import Catalog
    from warpforge.engine.engine import Engine
    from warpforge.engine.replay import Replayer, Verdict
    from warpforge.model.catalog import Release
    from warpforge.model.verdict import ReleaseVerdicts

GOOD: Final = ("same", "no-replay")


@click.command(cls=Command, name="replay")
@click.argument("refs", nargs=-1, metavar="[MODULE[:RELEASE[:ITEM]]]...")
@click.option("--all", "every", is_flag=True, help="Every release of the catalogs here that has a replay.")
@click.option("--memo", is_flag=True, help="Let the memo answer what was run here before.")
@click.option("--publish", is_flag=True, help="Keep the verdicts in the catalog, too, for all who read it.")
@click.option("--sign", "keys", multiple=True, metavar="KEY", help="Sign the verdicts with this key; may be repeated.")
@click.option("--verify", metavar="FILE|REF", help="Instead tell who vouches for it: a signed file, or a release.")
@believing
@click.option("--offline", is_flag=True, help="Ask nothing beyond this machine.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Actions at once; default: the cores.")
@CATALOG_AT
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
    keys: tuple[str, ...],
    verify: str | None,
    believed: Believed,
) -> None:
    """Build releases again from their replays, and compare with what was published.

    What a replay needs and nobody has is built by its own replay first. Exit status 1 when anything differs.
    The verdicts are kept in the workspace, unless --memo answered instead of a box; --sign keeps a signed file of them,
    too, and says where.

    --verify builds nothing. FILE: whether keys named with --key signed it, and what it says. MODULE[:RELEASE[:ITEM]]:
    how many rebuilders (see catalog trust) made the same, by what is kept of their words; exit status 1 when one did
    not, or fewer than --threshold did.
    """
    from warpforge.catalog.keys import load_private
    from warpforge.engine import verdicts as keeping
    from warpforge.engine.replay import Replayer

    if verify is not None:
        from warpforge.cli import replay_verify

        replay_verify.verify(common, verify, believed)
        return
    if not refs and not every:
        refuse_argument("what? Name MODULE[:RELEASE[:ITEM]], or say --all")
    if believed:
        refuse_argument("--key and --trusted are for --verify; --sign takes the key that signs")
    if memo and (publish or keys):
        refuse_argument("--memo builds nothing again: there is nothing to --publish or to --sign")
    signers = [load_private(key) for key in keys]
    verdicts: list[Verdict] = []
    with _opened(common, force=not memo, offline=offline, jobs=jobs) as engine:
        replayer = Replayer(engine)
        for catalog, module, release, item in [*_meant(replayer, refs, every=every)]:  # all are there, or none is built
            found = replayer.replay(catalog, module, release, item)
            document = None if memo else keeping.document(module, release, found)
            if document is not None:
                _keep(common, engine, catalog, document, signers, publish=publish)
            verdicts += found
            _show(common, found)
    _conclude(common, verdicts, replayer.broken)


def _conclude(common: Common, verdicts: list[Verdict], broken: list[WarpforgeError]) -> None:
    """How it was in all. Errors: ``ware-mismatch``, ``formula-execution-failed`` (replay); those of what is broken."""
    bad = [verdict for verdict in verdicts if verdict.verdict not in GOOD]
    if bad:
        names = ", ".join(f"{verdict.ref} {verdict.verdict}" for verdict in bad)
        code = "ware-mismatch" if any(verdict.verdict == "differs" for verdict in bad) else "formula-execution-failed"
        raise Failed(code, f"{len(bad)} of {len(verdicts)} items are not what was published: {names}", reason="replay")
    if broken:
        raise broken[0]
    same = sum(verdict.verdict == "same" for verdict in verdicts)
    if common.json:
        return
    if not same:
        common.note("nothing was built again: no release that was asked for has a replay")
        return
    rest = "" if same == len(verdicts) else ", the others have no replay"
    common.note(f"{same} of {len(verdicts)} items are what was published{rest}")


def _keep(
    common: Common,
    engine: Engine,
    catalog: Catalog,
    document: ReleaseVerdicts,
    keys: list[PrivateKey],
    *,
    publish: bool,
) -> None:
    from warpforge.engine import verdicts as keeping

    envelope = keeping.signed(document, keys) if keys else None
    path = keeping.keep_here(engine.stack.root.internal, document, envelope)
    if publish:
        path = keeping.publish(catalog, document, envelope)
    if envelope is None:
        return
    if common.json:
        ids = [one.keyid for one in envelope.signatures]
        line = {"release": f"{document.module}:{document.release}", "signedBy": ids, "file": str(path)}
        print(to_json({"signedverdicts": line}))
    else:
        common.note(printable(f"signed: {path}"))


def _meant(replayer: Replayer, refs: Iterable[str], *, every: bool) -> Iterable[tuple[Catalog, str, Release, str]]:
    from warpforge.engine.replay import Wanted

    if every:
        yield from ((*one, "") for one in replayer.every())
    for ref in refs:
        wanted = Wanted.parse(ref)
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


def _show(common: Common, verdicts: list[Verdict]) -> None:
    """The verdicts of one release; what is to be said of several is said once."""
    said: tuple[str, ...] = ()
    for verdict in verdicts:
        if common.json:
            print(to_json({"verdict": verdict.to_serial()}), flush=True)
            continue
        common.result(printable(f"{verdict.verdict:<10}{verdict.ref}  {verdict.published}"))
        if verdict.made is not None and verdict.made != verdict.published:
            common.result(f"          it gave {verdict.made}")
        lines = [line for why in verdict.why for line in why.splitlines()]
        for line in lines if verdict.why != said else []:
            common.result(printable(f"          {line}"))
        said = verdict.why
