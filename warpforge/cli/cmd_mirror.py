"""``warpforge mirror``: wares go to mirrors and come from them, many at once."""

from __future__ import annotations

import os

import click

from warpforge.cli.app import WARE, Common, Group, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.moving import JOBS, Job, moving
from warpforge.cli.units import MAX_UNPACKED
from warpforge.engine.transfer import THERE, Transfer
from warpforge.mirror.protocol import connect, find_upstream, shown
from warpforge.model.atoms import WarehouseAddr, WareId

NOTHING = "no catalog here names a ware: name one, as WAREID or MODULE:RELEASE:ITEM"
WHAT = click.argument("what", nargs=-1, metavar=f"[{WARE}]...")


@click.group(cls=Group, name="mirror", no_args_is_help=True)
def mirror() -> None:
    """Mirrors: other places that hold packed wares."""


@mirror.command("push")
@WHAT
@click.option("--to", "addresses", multiple=True, metavar="ADDR", help="Where to; default: config/mirroring.json.")
@click.option("--force", is_flag=True, help="Push also what is there already.")
@CATALOG_AT
@JOBS
@pass_common
def push(common: Common, what: tuple[str, ...], addresses: tuple[str, ...], *, force: bool, jobs: int) -> None:
    """Push wares to mirrors.

    Without arguments every ware that a catalog here names and that is here.
    What a mirror has already is passed over, so a push that was broken off is simply called again.
    ADDR is a directory, ca+file:///..., ca+s3://... or an address that config/mirroring.json says how to push to.
    """
    with moving(common) as moves:
        engine, names = moves.engine, moves.names
        goals = [parse_address(text) for text in addresses] or moves.transfer.pushes()
        if not goals:
            refuse_argument("where to? Name it with --to ADDR, or in .warpforge/config/mirroring.json")
        wares = names.wares(what) if what else [w for w in names.every() if engine.store.has(w)]
        if not wares:
            common.note("nothing to push: no catalog here names a ware that is here")
        moves.push(wares, goals, jobs, force=force)


@mirror.command("pull")
@WHAT
@click.option("--from", "addresses", multiple=True, metavar="ADDR", help="Only from there; default: every mirror.")
@CATALOG_AT
@JOBS
@MAX_UNPACKED
@pass_common
def pull(common: Common, what: tuple[str, ...], addresses: tuple[str, ...], *, jobs: int) -> None:
    """Fetch wares into the warehouse.

    Without arguments every ware that a catalog here names. What is here already is passed over; what was broken off
    goes on from there, if the mirror still has the same version.
    """
    with moving(common) as moves:
        only = [parse_address(text) for text in addresses] or None
        wares = moves.names.wares(what) if what else moves.names.every()

        def job(ware: WareId) -> Job:
            return Job(ware, lambda: moves.transfer.pull(ware, only))

        if not wares:
            common.note(NOTHING)
        moves.all([job(ware) for ware in wares], jobs)


@mirror.command("ls")
@WHAT
@click.option("--check", is_flag=True, help="Ask every mirror whether it has the ware.")
@CATALOG_AT
@pass_common
def ls(common: Common, what: tuple[str, ...], *, check: bool) -> None:
    """List the mirrors of wares, best first.

    Without arguments of every ware that a catalog here names.
    """
    with moving(common) as moves:
        names, transfer = moves.names, moves.transfer
        wares = names.wares(what) if what else names.every()
        if not wares:
            common.note(NOTHING)
        for ware in wares:
            if not names.mirrors(ware):
                common.note(f"{ware}: no mirror is known for it")
            for address in names.mirrors(ware):
                says = _ask(transfer, ware, address) if check else ""
                if common.json:
                    row = {"ware": str(ware), "address": shown(address), **({"outcome": says} if says else {})}
                    common.result(to_json({"mirror": row}))
                else:
                    common.result(printable(f"{ware}  {shown(address)}{f'  {says}' if says else ''}"))


def parse_address(text: str) -> WarehouseAddr:
    """An address, or a directory of this machine. Errors: ``invalid``."""
    return WarehouseAddr.parse(text if "://" in text else f"ca+file://{os.path.abspath(text)}")


def _ask(transfer: Transfer, ware: WareId, address: WarehouseAddr) -> str:
    from warpforge.errors import WarpforgeError

    try:
        place = find_upstream(address, ware.packtype, transfer.access) or connect(address, transfer.access)
        return THERE if place.has(ware) else "missing"
    except WarpforgeError as error:
        return error.message
