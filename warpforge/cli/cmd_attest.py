"""``warpforge attest``: how a release came to be, in forms that other tools read, signed and verified."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.signing import Believed, believing, sign, verified

if TYPE_CHECKING:
    from warpforge.engine.attest import Attester
    from warpforge.engine.replay import Wanted
    from warpforge.model.attestation import Facts
    from warpforge.model.attested import Attested

FORMS: Final = ("slsa", "spdx")


@click.command(cls=Command, name="attest")
@click.argument("ref", metavar="MODULE:RELEASE[:ITEM]|FILE")
@click.option("--as", "form", type=click.Choice(FORMS), default="slsa", show_default=True, help="What to write.")
@click.option(
    "--sha256", "packed", is_flag=True, help="Also each item's SHA-256 as a plain tar; its ware must be here."
)
@click.option("--sign", "keys", multiple=True, metavar="KEY", help="Sign it with this key; may be repeated.")
@click.option("--output", "-o", metavar="FILE", help="Where it goes, instead of standard output.")
@click.option("--verify", is_flag=True, help="Instead verify FILE, with no network.")
@click.option("--unsigned", is_flag=True, help="--verify: also take what nobody signed.")
@CATALOG_AT
@believing
@pass_common
def attest(
    common: Common,
    ref: str,
    form: str,
    keys: tuple[str, ...],
    output: str | None,
    believed: Believed,
    *,
    packed: bool,
    verify: bool,
    unsigned: bool,
) -> None:
    """Tell how a release was made: by which replay, of which wares, by way of every release that those come from.

    slsa: provenance as SLSA v1 defines it, an in-toto statement. spdx: a bill of materials (SPDX 2.3); signed, it is
    an in-toto statement, too. Signed with --sign it is a DSSE envelope. The same facts give the same bytes.

    --verify FILE: the signatures, by the keys that are named; that the statement fits what it says itself; that the
    catalogs here say the same of the release, if they have it; and every ware of it that is here, read whole.
    """
    if verify:
        if keys or output or packed:
            refuse_argument("--verify writes nothing: --sign, --output and --sha256 are for making")
        _verify(common, ref, believed, unsigned=unsigned)
        return
    if believed or unsigned:
        refuse_argument("--key, --trusted and --unsigned are for --verify")
    facts = _facts(common, ref, packed=packed)
    _write(common, facts, form, keys, output)


def _facts(common: Common, ref: str, *, packed: bool) -> Facts:
    from warpforge.cli.cmd_ware import opened
    from warpforge.engine.attest import Attester

    wanted = _wanted(ref)
    with opened(common) as engine, engine.store.use():
        return Attester(engine).facts(wanted, packed=packed)


def _wanted(ref: str) -> Wanted:
    from warpforge.engine.replay import Wanted

    wanted = Wanted.parse(ref)
    if not wanted.release:
        refuse_argument(f"{ref}: MODULE:RELEASE or MODULE:RELEASE:ITEM is wanted")
    return wanted


def _write(common: Common, facts: Facts, form: str, keys: tuple[str, ...], output: str | None) -> None:
    from warpforge.cli.files import write_output
    from warpforge.model.attestation import MEDIA_TYPE
    from warpforge.model.layout import layout
    from warpforge.model.slsa import provenance
    from warpforge.model.spdx import bill, bill_statement

    said: dict[str, Any] = provenance(facts) if form == "slsa" else bill_statement(facts) if keys else bill(facts)
    ids: list[str] = []
    data = layout(said)
    if keys:
        data, ids = sign(keys, MEDIA_TYPE, data)
    if output is not None:
        write_output(output, data.decode())
    elif not common.json:
        sys.stdout.write(data.decode())
    if common.json:
        line: dict[str, Any] = {"release": facts.own.name, "form": form, "signedBy": ids}
        line |= {"document": said} if output is None else {"file": output}
        print(to_json({"attestation": line}))


def _verify(common: Common, path: str, believed: Believed, *, unsigned: bool) -> None:
    from warpforge.cli.cmd_ware import opened
    from warpforge.engine.attest import Attester
    from warpforge.model.attestation import MEDIA_TYPE
    from warpforge.model.attested import read_attested

    payload, ids = verified(common, path, MEDIA_TYPE, believed, unsigned=unsigned)
    attested = read_attested(payload, path)
    with opened(common) as engine, engine.store.use():
        attester = Attester(engine)
        attester.check(attested, path)
        _tell(common, attester, attested, ids)


def _tell(common: Common, attester: Attester, attested: Attested, ids: list[str]) -> None:
    for ref, ware in attested.subjects.items():
        here, known = attester.is_here(ware), attester.is_known(ref)
        if common.json:
            line = {"ref": str(ref), "ware": str(ware), "predicate": attested.predicate, "signedBy": ids}
            print(to_json({"attested": {**line, "inCatalog": known, "here": here}}))
        else:
            named = "in a catalog here" if known else "in no catalog here"
            common.result(printable(f"{ref}  {ware}  ({named}, {'the ware is sound' if here else 'not here'})"))
    if not common.json:
        common.note(f"signed by {', '.join(ids)}" if ids else "nobody signed it")
