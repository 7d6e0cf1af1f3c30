"""``warpforge catalog trust``: whose signatures a catalog needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import UNSET

from warpforge.cli.app import Common, Group, pass_common, printable, refuse_argument, to_json
from warpforge.cli.catalogs import NAME, here, is_named, named_catalog, remember
from warpforge.cli.units import Duration
from warpforge.model.units import counted

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from warpforge.catalog.keys import PublicKey
    from warpforge.catalog.rebuilders import Rebuilders
    from warpforge.catalog.trust import Trust
    from warpforge.workspace.find import Workspace

THRESHOLD = click.option("--threshold", type=click.IntRange(min=1), metavar="K", help="So many of the keys.")
REBUILDER = click.option(
    "--rebuilder", metavar="WHO", help="Whose word counts on what came of building again, and on nothing else."
)
MAX_AGE = click.option("--max-age", type=Duration(), help="Refuse snapshots that are older; 0: of any age.")


@click.group(cls=Group, name="trust", no_args_is_help=True)
@NAME
@click.pass_context
def trust(context: click.Context, name: str | None) -> None:
    """Say whose signatures a catalog needs; then nothing of it is believed that they did not sign.

    Kept in config/trust.json of the root workspace. A catalog without keys is believed as it stands.
    """
    if name is not None:
        remember(context, name, force=False)


@trust.command("add")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@NAME
@THRESHOLD
@MAX_AGE
@REBUILDER
@click.pass_context
@pass_common
def add(
    common: Common,
    context: click.Context,
    keys: tuple[str, ...],
    name: str | None,
    rebuilder: str | None,
    threshold: int | None,
    max_age: float | None,
) -> None:
    """Trust keys: ed25519:..., or files with public keys.

    With --rebuilder the keys are those of somebody who builds releases again: `replay --verify` and the pages of the
    catalog tell how many such agree. All keys of one WHO are one.
    """
    from warpforge.catalog.keys import load_public

    fresh = tuple(str(load_public(key)) for key in keys)
    if rebuilder is not None:
        if threshold is not None or max_age is not None:
            refuse_argument("--threshold and --max-age are of the catalog's own keys, not of a --rebuilder")
        _change_rebuilder(common, named_catalog(context, name), rebuilder, add=fresh)
        return
    _change(common, named_catalog(context, name), threshold, max_age, add=fresh)


@trust.command("set")
@NAME
@THRESHOLD
@MAX_AGE
@click.pass_context
@pass_common
def set_(
    common: Common, context: click.Context, name: str | None, threshold: int | None, max_age: float | None
) -> None:
    """Change how many keys must sign, and how old a snapshot may be."""
    _change(common, named_catalog(context, name), threshold, max_age)


@trust.command("remove")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--all", "every", is_flag=True, help="All of them: the catalog is believed as it stands.")
@NAME
@THRESHOLD
@REBUILDER
@click.pass_context
@pass_common
def remove(
    common: Common,
    context: click.Context,
    keys: tuple[str, ...],
    *,
    every: bool,
    name: str | None,
    threshold: int | None,
    rebuilder: str | None,
) -> None:
    """Trust keys no longer: by themselves, their files, or the beginning of their ids.

    What only they had signed binds no more, so a snapshot of a version that they made up can be left behind.
    With --rebuilder: of WHO, all keys if none is named.
    """
    from warpforge.catalog.keys import PublicKey

    catalog = named_catalog(context, name)
    if rebuilder is not None:
        known = [PublicKey.parse(key) for key in _rebuilders(common)[1].get(catalog, {}).get(rebuilder, ())]
        if not known:
            refuse_argument(f"no rebuilder {rebuilder} is trusted for catalog {catalog}: see `catalog trust list`")
        gone = {str(_meant(key, known)) for key in keys} if keys else {str(key) for key in known}
        _change_rebuilder(common, catalog, rebuilder, remove=gone)
        return
    if bool(keys) == every:
        refuse_argument("name keys, or say --all")
    _, trusts = _read(common)
    known = [PublicKey.parse(key) for key in trusts[catalog].keys] if catalog in trusts else []
    gone = {str(_meant(key, known)) for key in keys} if keys else {str(key) for key in known}
    if keys and gone == {str(key) for key in known}:
        refuse_argument(
            f"no key would be left: add others first, or say --all to believe catalog {catalog} as it stands"
        )
    _change(common, catalog, threshold, None, remove=gone)


@trust.command("list")
@NAME
@click.pass_context
@pass_common
def list_(common: Common, context: click.Context, name: str | None) -> None:
    """Show whose signatures are needed, and what was seen last."""
    from warpforge.catalog.trust import SEEN, load_seen

    root, trusts = _read(common)
    wanted = named_catalog(context, name) if is_named(context, name) else None
    listed = {catalog: one for catalog, one in trusts.items() if wanted in (None, catalog)}
    if not listed:
        common.note("no catalog needs signatures" if wanted is None else f"catalog {wanted} needs no signatures")
    for catalog, one in listed.items():
        seen = load_seen(root.internal / SEEN / f"{catalog}.json")
        if common.json:
            serial = {"catalog": catalog, "threshold": one.threshold, **msgspec.to_builtins(one)}
            print(to_json({"trust": {**serial, **({"seen": seen.version, "root": seen.root} if seen else {})}}))
            continue
        age = "" if one.max_age is UNSET else f", not older than {one.max_age:g} s"
        last = f"; seen: version {seen.version}, {seen.root}" if seen else "; nothing was seen yet"
        common.result(printable(f"{catalog}: {one.threshold} of {len(one.keys)} keys{age}{last}"))
        for key in one.public_keys():
            common.result(f"  {key}  id {key.id[:16]}")
        if seen and seen.trust == one.fingerprint and (seen.keys, seen.threshold) != (one.keys, one.threshold):
            common.result(f"  they handed over to {seen.threshold} of: {' '.join(seen.keys)}")
    for catalog, rebuilders in _rebuilders(common)[1].items():
        for who, keys in rebuilders.items() if wanted in (None, catalog) else ():
            if common.json:
                print(to_json({"rebuilder": {"catalog": catalog, "name": who, "keys": [*keys]}}))
            else:
                common.result(printable(f"{catalog}: rebuilder {who}  {' '.join(keys)}"))


def _read(common: Common) -> tuple[Workspace, dict[str, Trust]]:
    from warpforge.engine.catalogs import trusts

    root = here(common).root
    return root, dict(trusts(root))


def _rebuilders(common: Common) -> tuple[Path, dict[str, Rebuilders]]:
    from warpforge.catalog.rebuilders import FILE, load_rebuilders

    path = here(common).root.config(FILE)
    return path, load_rebuilders(path)


def _change_rebuilder(
    common: Common, catalog: str, who: str, *, add: tuple[str, ...] = (), remove: Collection[str] = ()
) -> None:
    from warpforge.catalog.rebuilders import save_rebuilders

    path, catalogs = _rebuilders(common)
    named = dict(catalogs.get(catalog, {}))
    named[who] = tuple(key for key in dict.fromkeys((*named.get(who, ()), *add)) if key not in remove)
    if not named[who]:
        del named[who]
    save_rebuilders(path, {**catalogs, catalog: named})
    common.note(printable(f"catalog {catalog} has {counted(len(named), 'rebuilder')}: {', '.join(named) or 'nobody'}"))
    own = {*_read(common)[1][catalog].keys} if catalog in _read(common)[1] else set()
    if own & {*add}:
        common.note(printable(f"{who} has a key of the catalog itself, which is no independent word"))


def _change(
    common: Common,
    catalog: str,
    threshold: int | None,
    max_age: float | None,
    *,
    add: tuple[str, ...] = (),
    remove: Collection[str] = (),
) -> None:
    from warpforge.catalog.trust import Trust, save_trusts
    from warpforge.engine.catalogs import TRUST_FILE

    root, trusts = _read(common)
    old: Trust = trusts.get(catalog, Trust())
    keys = tuple(key for key in dict.fromkeys((*old.keys, *add)) if key not in remove)
    age = old.max_age if max_age is None else UNSET if max_age == 0 else max_age
    new = msgspec.structs.replace(old, keys=keys, threshold=threshold or old.threshold, max_age=age)
    if keys:
        trusts[catalog] = new
    else:
        trusts.pop(catalog, None)
    save_trusts(root.config(TRUST_FILE), trusts)
    needs = f"needs {new.threshold} of {len(keys)} keys" if keys else "is believed as it stands"
    common.note(printable(f"catalog {catalog} {needs}"))
    if keys and not (root.catalogs_dir / catalog).is_dir():
        common.note(printable(f"there is no catalog {catalog} yet; once there is one, it must be signed so"))


def _meant(text: str, known: list[PublicKey]) -> PublicKey:
    from warpforge.catalog.keys import load_public

    by_id = [key for key in known if len(text) >= 8 and key.id.startswith(text)]
    found = by_id[0] if len(by_id) == 1 else load_public(text)
    if found not in known:
        refuse_argument(f"{text} is not trusted: see `catalog trust list`")
    return found
