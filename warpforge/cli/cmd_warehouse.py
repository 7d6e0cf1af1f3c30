"""``warpforge warehouse``: the warehouse of this workspace, for others."""

from __future__ import annotations

import click

from warpforge.cli.app import Common, Group, pass_common, printable, refuse_argument, to_json

LISTEN = "127.0.0.1:8710"


@click.group(cls=Group, name="warehouse", no_args_is_help=True)
def warehouse() -> None:
    """The warehouse: packed wares under their hashes."""


@warehouse.command("serve")
@click.option("--listen", default=LISTEN, show_default=True, metavar="ADDR:PORT", help="Port 0 takes any free one.")
@click.option("--gzip", is_flag=True, help="Serve tar wares as gzip tars, as clients of the original want them.")
@pass_common
def serve(common: Common, listen: str, *, gzip: bool) -> None:
    """Let other machines fetch the wares of this workspace, over HTTP, read-only, until interrupted.

    The others name its address as a mirror: in .warpforge/config/mirrors.json, or with --from.
    """
    from warpforge.engine.serve import WarehouseServer
    from warpforge.engine.shop import Shop
    from warpforge.store.store import Store
    from warpforge.workspace.find import find_stack

    host, port = _parse_listen(listen)
    settings = common.settings
    with Store(find_stack(settings.cwd, settings.home).root.internal, warehouse=settings.warehouse) as store:
        shop = Shop(store, gzip=gzip)
        with WarehouseServer(host, port, shop, lambda line: _say(common, line)) as server:
            try:  # whoever reads the address may interrupt us at once
                if common.json:
                    common.result(to_json({"serving": {"address": server.address}}))
                else:
                    click.echo(f"serving {store.warehouse.directories[0]} at {server.address}", err=True)
                server.serve_forever()
            except KeyboardInterrupt:
                pass  # that is how it ends


def _say(common: Common, line: str) -> None:
    if common.verbose and not common.quiet:
        click.echo(printable(line), err=True)


def _parse_listen(text: str) -> tuple[str, int]:
    host, mark, port = text.rpartition(":")
    if not mark or not port.isdecimal() or int(port) > 65535:
        refuse_argument(f"--listen {text}: it is ADDR:PORT, such as {LISTEN}")
    return host.strip("[]") or "127.0.0.1", int(port)
