"""Keeping: an archive that a person named becomes a ware of the warehouse."""

from __future__ import annotations

from warpforge.cli.app import Common
from warpforge.cli.cmd_ware import open_archive
from warpforge.errors import PREFIX, WarpforgeError, beneath
from warpforge.model.atoms import WareId
from warpforge.workspace.find import Stack


def keep_named(common: Common, stack: Stack, source: str, packtype: str) -> WareId:
    """Copy an archive into the warehouse under the id that it has.

    Errors: those of reading; those of scanning beneath one that names the archive.
    """
    from warpforge.engine.bounds import read_limits
    from warpforge.engine.keep import keep_archive
    from warpforge.store.store import Store

    store = Store(stack.root.internal, warehouse=common.settings.warehouse)
    with store, store.use(), open_archive(common, source) as stream:
        try:
            return keep_archive(store, stream, packtype, limits=read_limits(stack, common.max_unpacked))
        except WarpforgeError as error:
            if not error.code.startswith(PREFIX + "ware-"):
                raise
            raise beneath(error, f"{source} is not kept as a {packtype} ware") from error
