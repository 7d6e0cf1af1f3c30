"""Keeping: an archive that a person named becomes a ware of the warehouse."""

from __future__ import annotations

from warpforge.cli.app import Common
from warpforge.cli.cmd_ware import open_archive
from warpforge.model.atoms import WareId
from warpforge.workspace.find import Stack


def keep_archive(common: Common, stack: Stack, source: str, packtype: str) -> WareId:
    """Copy an archive into the warehouse under the id that it has. Errors: those of reading and scanning."""
    from warpforge.engine.supply import facts_of
    from warpforge.pack.packer import scan
    from warpforge.store.store import Store

    store = Store(stack.root.internal, warehouse=common.settings.warehouse)
    try:
        with store.use(), open_archive(common, source) as stream, store.warehouse.stage() as staged:
            while block := stream.read(1 << 20):
                staged.file.write(block)
            staged.file.seek(0)
            seen = scan(staged.file, packtype)
            store.duals.record(seen.ware, seen.dual)
            staged.commit(seen.ware, facts_of(seen))
            return seen.ware
    finally:
        store.close()
