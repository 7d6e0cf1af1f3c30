"""A process that publishes: ``python -m support.publisher CATALOG REF WARE [ADDRESS]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from support.actor import ENVIRONMENT
from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId

__all__ = ["ENVIRONMENT", "command"]


def command(catalog: str | os.PathLike[str], *arguments: str) -> list[str]:
    """The command line of a publisher."""
    return [sys.executable, "-m", "support.publisher", os.fspath(catalog), *arguments]


def main(catalog: str, ref: str, ware: str, address: str = "") -> None:
    add_item(
        Catalog(Path(catalog)),
        CatalogRef.parse(ref),
        WareId.parse(ware),
        address=WarehouseAddr.parse(address) if address else None,
        force=True,
    )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except WarpforgeError as error:
        print(error.code, error.reason, error, file=sys.stderr)
        sys.exit(error.exit_status())
