"""``warpforge catalog known``: what references meant when they were used here."""

from __future__ import annotations

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.catalogs import here, seen
from warpforge.cli.conduct import CATALOG_AT
from warpforge.errors import Missing


@click.command(cls=Command, name="known")
@click.argument("refs", nargs=-1, metavar="[MODULE[:RELEASE[:ITEM]]]...")
@click.option("--forget", is_flag=True, help="From the next use on they mean what they mean then.")
@CATALOG_AT
@pass_common
def known(common: Common, refs: tuple[str, ...], *, forget: bool) -> None:
    """List what references meant when they were first used here, and which mean something else now.

    A use that finds such a change warns, or refuses: see config/known.json. --forget takes what they mean now.
    """
    from warpforge.catalog.known import Known
    from warpforge.engine.replay import Wanted

    stack = here(common)
    memory = Known(stack.root.internal)
    wanted = [Wanted.parse(ref) for ref in refs]
    if forget and not wanted:
        refuse_argument("--forget what? Name MODULE[:RELEASE[:ITEM]]")
    if forget:
        gone = [ref for one in wanted for ref in memory.forget(*one)]
        for ref in gone:
            common.note(printable(f"forgotten: {ref}"))
        if not gone:
            raise Missing("missing", f"nothing is known of {' '.join(refs)}: `warpforge catalog known` lists what is")
        return
    lookup = seen(common, stack)
    for name, ware in memory.every():
        if wanted and not any(all(part in ("", said) for part, said in zip(one, name, strict=True)) for one in wanted):
            continue
        pin = lookup.find(name)
        now = str(pin.ware) if pin else ""
        if common.json:
            print(to_json({"known": {"ref": str(name), "ware": ware, **({"now": now} if now else {})}}))
            continue
        told = "" if now == ware else f"  changed: {now}" if now else "  gone: no catalog has it"
        common.result(printable(f"{name}  {ware}{told}"))
