"""``warpforge store``: look after the store of this workspace: verify, repair, reindex, stats, gc."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Common, Group, pass_common, printable, to_json
from warpforge.cli.render import short
from warpforge.cli.units import MAX_UNPACKED, Duration, Size, size
from warpforge.errors import Failed, Missing
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.store.finding import Finding
    from warpforge.store.gc import Plan

WAIT = click.option(
    "--wait", type=Duration(), default="10s", show_default=True, help="How long to wait until nobody uses the store."
)


@click.group(cls=Group, name="store", no_args_is_help=True)
def store() -> None:
    """Look after the store: what is in it, whether it is sound, and what may go."""


@store.command("verify")
@click.option("--deep", is_flag=True, help="Read and hash everything again.")
@pass_common
def verify_(common: Common, *, deep: bool) -> None:
    """Look whether everything in the store is as it should be. Exits with 1 when something is wrong; changes nothing.

    Without --deep: sizes, seek tables, dual ids, memos, pins and stamps. With it every ware is unpacked and hashed,
    and every tree on the shelf is compared with its ware.
    """
    from warpforge.engine.upkeep import Upkeep

    with _opened(common) as engine, engine.store.use(), _progress(common) as told:
        found = Upkeep(engine).verify(told, deep=deep)
        count = sum(1 for _ in engine.store.warehouse.wares())
    for finding in found:
        _show_finding(common, finding)
    if common.json:
        print(to_json({"verified": {"wares": count, "deep": deep, "findings": len(found)}}))
    if found:
        raise Failed(
            "ware-mismatch",
            f"{_things(len(found))} wrong in the store: `warpforge store repair` sets it aside and has it anew",
            reason="verify",
            findings=len(found),
            first=_words(found[0]),
        )
    looked = "read and hashed again" if deep else "looked at (--deep reads them)"
    common.note(f"nothing is wrong; {_many(count, 'ware')} {looked}")


@store.command("repair")
@click.option("--from", "addresses", multiple=True, metavar="ADDR", help="Ask this mirror or directory first.")
@click.option("--no-replay", is_flag=True, help="Run nothing to make again what cannot be fetched.")
@WAIT
@MAX_UNPACKED
@pass_common
def repair(common: Common, *, addresses: tuple[str, ...], no_replay: bool, wait: float) -> None:
    """Set aside what is wrong, and have it anew.

    Everything is read and hashed. What is wrong comes from the shelf, from a mirror, or from a peer: a root workspace
    beside or above this one, the home workspace, or ADDR, such as another machine's `warehouse serve`. What nobody has
    is made again, by the replay of the release that names it, or by the formula that made it here, and compared.
    What is set aside is kept in the quarantine. Exits with 1 when something could not be had anew.
    """
    from warpforge.cli.cmd_mirror import parse_address
    from warpforge.engine.mend import Mender, Sources
    from warpforge.engine.naming import Names
    from warpforge.model.atoms import WarehouseAddr
    from warpforge.workspace.peers import find_peers

    named = [parse_address(text) for text in addresses]
    with _opened(common) as engine:
        peers = [
            WarehouseAddr.parse(f"ca+file://{peer.internal}/warehouse")
            for peer in find_peers(engine.stack.root, common.settings.home)
        ]
        mender = Mender(engine, Names(engine, common.settings.cwd), Sources(named, peers))
        with engine.store.exclusive(wait, strict=True), _progress(common) as told:
            engine.store.sweep()
            mended = mender.repair(told)
        if not no_replay and any(done.lost for done in mended):
            with engine.store.use():
                mended = mender.make_again(mended)
    for done in mended:
        if common.json:
            print(to_json({"mended": {**_serial(done.finding), "done": done.done, "how": done.how}}))
        else:
            common.result(printable(f"{'ok  ' if done.done else 'LOST'}  {_words(done.finding)}\n      {done.how}"))
    lost = [done for done in mended if not done.done]
    if lost:
        raise Failed(
            "ware-mismatch",
            f"{_things(len(lost))} wrong and could not be had anew; what there was is kept",
            reason="repair",
            findings=len(lost),
            first=_words(lost[0].finding),
        )
    common.note(f"{_many(len(mended), 'thing')} mended" if mended else "nothing is wrong: nothing to mend")


@store.command("reindex")
@pass_common
def reindex(common: Common) -> None:
    """Write the index anew from the files. What it knew beside them (sizes unpacked, ingests) is found out again."""
    with _opened(common) as engine, engine.store.use():
        count = engine.store.reindex()
    if common.json:
        print(to_json({"reindexed": {"wares": count}}))
    common.note(f"{_many(count, 'ware')} indexed")


@store.command("stats")
@pass_common
def stats_(common: Common) -> None:
    """Count what the store holds."""
    from warpforge.store.stats import stats

    with _opened(common) as engine:
        where, rows = engine.store.internal, list(stats(engine.store))
    if common.json:
        print(to_json({"stats": {row.what: {"count": row.number, "bytes": row.size} for row in rows}}))
        return
    common.note(f"in {where}:")
    for row in rows:
        common.result(f"{row.what:<14}{row.number:>9}  {size(row.size):>10}")
    common.result(f"{'all':<14}{'':>9}  {size(sum(row.size for row in rows)):>10}")


@store.command("gc")
@click.option("--keep-for", type=Duration(), help="Keep what was used since, named or not; forget older memos.")
@click.option("--max-size", type=Size(), help="Then delete more, least recently used first, until the store fits.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--explain", metavar="WARE", help="Only tell why it stays: WAREID, MODULE:RELEASE:ITEM or a pin's name.")
@WAIT
@pass_common
def gc(
    common: Common, *, keep_for: float | None, max_size: int | None, dry_run: bool, explain: str | None, wait: float
) -> None:
    """Delete the wares that nothing names.

    A ware stays when a catalog here or in a workspace below names it, as an item or as the input of a replay; when it
    is pinned; when a running process needs it; when it is a result or an input of a formula that is memoised.
    What actions wrote is kept up to 1 GiB in all, and with --keep-for as long as that says.
    """
    from warpforge.engine.upkeep import Upkeep
    from warpforge.store.collect import collect
    from warpforge.store.gc import Policy, make_plan

    policy = Policy(time.time(), keep_for, max_size)
    with _opened(common) as engine:
        held, upkeep = engine.store, Upkeep(engine)
        if explain is not None:
            with held.use():
                _explain(common, make_plan(held, upkeep.roots(), policy), _meant(common, engine, explain))
            return
        with held.use() if dry_run else held.exclusive(wait):
            if not dry_run:
                held.sweep()
            plan = make_plan(held, upkeep.roots(), policy)
            if not dry_run:
                held.failed.clear()
                with _progress(common) as told:
                    collect(held, plan, lambda done, total: told(done, total, ""))
                held.runs.prune(before=0.0 if keep_for is None else time.time() - keep_for)
        _show_plan(common, plan, dry_run=dry_run)
        if max_size is not None and plan.left > max_size:
            common.note(f"{size(plan.left)} stay, more than {size(max_size)}: all of it is named, pinned or in use")


def _meant(common: Common, engine: Engine, text: str) -> WareId:
    """The ware that a person names, by its pin, too. Errors: as ``Names.wares``."""
    from warpforge.engine.naming import Names

    pinned = next((ware for name, ware in engine.store.kept.pins() if name == text), None)
    return pinned or Names(engine, common.settings.cwd).ware(text)


def _explain(common: Common, plan: Plan, ware: WareId) -> None:
    gone = {stock.ware for stock in plan.wares}
    if ware not in plan.stock and ware not in gone:
        raise Missing("missing", f"ware {ware} is not in the store", wareId=ware)
    why = plan.explain(ware)
    if common.json:
        print(to_json({"explain": {"ware": str(ware), "stays": ware not in gone, "why": why}}))
        return
    for reason in why or (["nothing keeps it: `warpforge store gc` deletes it"] if ware in gone else []):
        common.result(printable(reason))


def _show_plan(common: Common, plan: Plan, *, dry_run: bool) -> None:
    rows: list[tuple[str, str, int]] = [("memo", formula_id, 0) for formula_id in plan.memos]
    rows += [("partial", path.rpartition("/")[2], count) for path, count in plan.partials]
    rows += [("layer", path.rpartition("/")[2], count) for path, count in plan.layers]
    rows += [("tree", str(tree.ware), count) for tree, count in plan.trees]
    rows += [("ware", str(stock.ware), stock.size) for stock in plan.wares]
    if common.json:
        for kind, name, count in rows:
            print(to_json({"garbage": {"kind": kind, "name": name, "bytes": count}}))
        print(to_json({"gc": {"deleted": not dry_run, "freed": plan.freed, "left": plan.left, "count": len(rows)}}))
        return
    if dry_run or common.verbose:
        for kind, name, count in rows:
            common.result(f"{kind:<7}  {size(count) if count else '-':>9}  {name}")
    verb = "would go" if dry_run else "deleted"
    counts = [(len(plan.wares), "ware"), (len(plan.trees), "tree"), (len(plan.memos), "memo")]
    counts.append((len(plan.partials), "partial download"))
    counts.append((len(plan.layers), "layer"))
    what = ", ".join(_many(count, name) for count, name in counts if count) or "nothing"
    freed = "would be freed" if dry_run else "freed"
    common.note(f"{what} {verb}: {size(plan.freed)} {freed}, {size(plan.left)} stay")


def _show_finding(common: Common, finding: Finding) -> None:
    if common.json:
        print(to_json({"finding": _serial(finding)}))
    else:
        common.result(printable(f"{finding.kind:<6}{_words(finding)}"))


def _serial(finding: Finding) -> dict[str, Any]:
    return {key: value for key, value in finding._asdict().items() if value}


def _words(finding: Finding) -> str:
    named = finding.name in finding.message or finding.path in finding.message
    return finding.message if named else f"{finding.name}: {finding.message}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _things(count: int) -> str:
    return _many(count, "thing") + (" is" if count == 1 else " are")


@contextmanager
def _opened(common: Common) -> Iterator[Engine]:
    """The engine over the workspaces of here; nothing of the store is held yet."""
    from warpforge.cli.jsonlines import JsonLines
    from warpforge.cli.render import PlainLines
    from warpforge.engine.engine import Engine
    from warpforge.workspace.find import find_stack

    settings = common.settings
    reporter = JsonLines(common) if common.json else PlainLines(common)
    options = common.options()
    with Engine(find_stack(settings.cwd, settings.home), reporter, options) as engine:
        yield engine


@contextmanager
def _progress(common: Common) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal; silence elsewhere."""
    if common.json or common.quiet or not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bars:
        task = bars.add_task("", total=None, what="")

        def told(done: int, total: int, name: str) -> None:
            bars.update(task, completed=done, total=max(total, 1), what=short(name))

        yield told
