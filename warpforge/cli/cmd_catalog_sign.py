"""``warpforge catalog sign|verify|log``: snapshots of whole catalogs."""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import UNSET

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.cli.catalogs import FORCE, NAME, chosen_catalog, here, is_forced
from warpforge.cli.units import Duration
from warpforge.model.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warpforge.catalog.envelope import Envelope
    from warpforge.catalog.sign import ReleaseChange
    from warpforge.catalog.snapshot import Snapshot

SHOWN: Final = 20  # releases of one snapshot, unless more is to be said


@click.command(cls=Command, name="sign")
@click.option(
    "--key", "-k", "keys", multiple=True, required=True, metavar="FILE", help="A private key; may be repeated."
)
@click.option("--valid", type=Duration(), default="90d", help="When it should be renewed; default: 90d, 0: never.")
@click.option("--next-key", "next_keys", multiple=True, metavar="KEY", help="A public key to sign with from now on.")
@click.option("--next-threshold", type=click.IntRange(min=1), default=1, metavar="K", help="So many of the next keys.")
@click.option("--renew", is_flag=True, help="A new snapshot, even if nothing has changed.")
@NAME
@FORCE
@click.pass_context
@pass_common
def sign(
    common: Common,
    context: click.Context,
    keys: tuple[str, ...],
    valid: float,
    next_keys: tuple[str, ...],
    next_threshold: int,
    name: str | None,
    *,
    renew: bool,
    force: bool,
) -> None:
    """Sign a catalog as it stands, or add a signature to its newest snapshot when nothing has changed.

    A catalog that is not sound is not signed, nor one whose releases were changed or removed (-f signs that).

    With --next-key it hands over: the keys of now and the next ones sign this snapshot, and whoever trusts the keys of
    now then asks for signatures of the next.
    """
    from warpforge.catalog.keys import load_private, load_public
    from warpforge.catalog.sign import Terms
    from warpforge.catalog.sign import sign as sign_
    from warpforge.catalog.trust import Trust
    from warpforge.engine.catalogs import find_believer

    stack = here(common)
    catalog = chosen_catalog(context, stack, name, make=False)
    private = [load_private(key) for key in keys]
    believer = find_believer(stack, catalog.path, common.note)
    after = Trust(tuple(str(load_public(key)) for key in next_keys), next_threshold) if next_keys else None
    if after is not None:
        after.check(catalog.name)
    terms = Terms(valid or None, renew, is_forced(context, force=force), after)
    check_past = believer.check_past if believer else None
    done = sign_(catalog, private, terms, jobs=len(os.sched_getaffinity(0)), check_past=check_past)
    _show(common, done.snapshot, done.envelope, done.changes)
    count = len(done.envelope.signatures)
    what = f"version {done.snapshot.version}" if done.is_new else f"version {done.snapshot.version}, as it was,"
    common.note(printable(f"catalog {catalog.name}: {what} has {count} signature{'' if count == 1 else 's'}"))


@click.command(cls=Command, name="verify")
@NAME
@click.option("--allow-rollback", is_flag=True, help="Forget what was seen before, and accept what stands there.")
@click.option("--since", metavar="ID", help="Also that it goes on from this snapshot (its id, or its root).")
@click.option("--shallow", is_flag=True, help="Only the snapshot and its past, not what it is of.")
@click.pass_context
@pass_common
def verify(
    common: Common, context: click.Context, name: str | None, since: str | None, *, allow_rollback: bool, shallow: bool
) -> None:
    """Verify that a catalog is what was signed, by whom it must be, and that it goes on from what was seen here."""
    from warpforge.catalog.history import history
    from warpforge.catalog.sign import check_tree, read_head
    from warpforge.catalog.snapshot import Snapshots
    from warpforge.engine.catalogs import find_believer
    from warpforge.errors import Invalid, Missing

    stack = here(common)
    catalog = chosen_catalog(context, stack, name, make=False)
    snapshots = Snapshots(catalog.path)
    believer = find_believer(stack, catalog.path, common.note)
    if believer is not None:
        believer.believe(snapshots, allow_rollback=allow_rollback)
    head, envelope = read_head(snapshots)
    if head is None or envelope is None:
        raise Missing("missing", f"catalog {catalog.name} has no snapshot: see `catalog sign`", path=catalog.path)
    past = [*history(snapshots, head)]
    if since is not None and all(since not in (one.id, one.root) for one in past):
        raise Invalid(
            "catalog-invalid",
            f"catalog {catalog.name} does not go on from {since}: none of its {len(past)} snapshots is that one",
            reason="log",
            path=catalog.path,
        )
    if not shallow:
        check_tree(catalog, head, snapshots, jobs=len(os.sched_getaffinity(0)))
    _show(common, head, envelope, ())
    if believer is None:
        common.note(
            printable(
                f"catalog {catalog.name} is as its snapshot says; who signed that is not known here: no keys are "
                "trusted, see `catalog trust`"
            )
        )
    else:
        common.note(printable(f"catalog {catalog.name} is what trusted keys signed"))


@click.command(cls=Command, name="log")
@NAME
@click.option("--changes", is_flag=True, help="Also the releases that each added, changed or removed.")
@click.option("--limit", "-l", type=click.IntRange(min=1), metavar="N", help="Only the newest.")
@click.pass_context
@pass_common
def log(common: Common, context: click.Context, name: str | None, *, changes: bool, limit: int | None) -> None:
    """Show the snapshots of a catalog, newest first. Each one is proved by the one after it: none can be rewritten."""
    from warpforge.catalog.history import history
    from warpforge.catalog.sign import changes as changes_
    from warpforge.catalog.sign import read_head
    from warpforge.catalog.snapshot import Snapshots
    from warpforge.engine.catalogs import find_believer

    stack = here(common)
    catalog = chosen_catalog(context, stack, name, make=False)
    snapshots = Snapshots(catalog.path)
    believer = find_believer(stack, catalog.path, common.note)
    head = believer.believe(snapshots) if believer is not None else read_head(snapshots)[0]
    if head is None:
        common.note(printable(f"catalog {catalog.name} has no snapshot: see `catalog sign`"))
        return
    for snapshot in islice(history(snapshots, head), limit):
        moved: tuple[ReleaseChange, ...] = ()
        if changes:
            before = snapshots.logged(snapshot.version - 1).root if snapshot.version > 1 else None
            moved = tuple(changes_(before, snapshot.root, snapshots.node))
        envelope = snapshots.envelope(snapshot.version)
        if envelope is not None:
            _show(common, snapshot, envelope, moved)


def _show(common: Common, snapshot: Snapshot, envelope: Envelope, moved: Iterable[ReleaseChange]) -> None:
    if common.json:
        serial: dict[str, Any] = {**snapshot.to_serial(), "id": snapshot.id}
        serial["signers"] = [one.keyid for one in envelope.signatures]
        serial["changes"] = [_serial(one) for one in moved]
        print(to_json({"snapshot": serial}))
        return
    date = time.strftime("%Y-%m-%d %H:%M", time.gmtime(snapshot.time))
    until = "" if snapshot.expires is UNSET else time.strftime(", until %Y-%m-%d", time.gmtime(snapshot.expires))
    signers = " ".join(one.keyid[:16] for one in envelope.signatures)
    common.result(printable(f"{snapshot.version:>4}  {date}{until}  {snapshot.root}  signed by {signers}"))
    if snapshot.keys is not UNSET:
        common.result(f"      from now on {snapshot.threshold} of {len(snapshot.keys)} keys: {' '.join(snapshot.keys)}")
    moved = [*moved]
    for one in moved if common.verbose else moved[:SHOWN]:
        common.result(printable(f"      {one.kind:<8} {one.module}:{one.release}"))
    if len(moved) > SHOWN and not common.verbose:
        common.result(f"      and {counted(len(moved) - SHOWN, 'more release')}")


def _serial(change: ReleaseChange) -> dict[str, str]:
    ids = {"before": change.before, "after": change.after}
    found = {"release": f"{change.module}:{change.release}", "change": change.kind}
    return found | {key: id_ for key, id_ in ids.items() if id_}
