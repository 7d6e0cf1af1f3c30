"""Comparing two wares: the files that differ, told in a few lines."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from warpforge.pack.diff import Change, compare
from warpforge.pack.limits import UNLIMITED
from warpforge.pack.packer import manifest

if TYPE_CHECKING:
    from warpforge.engine.supply import Supply
    from warpforge.model.atoms import WareId

SHOWN: Final = 20


def differences(supply: Supply, old: WareId, new: WareId, most: int = SHOWN) -> list[Change]:
    """The first changes from one ware to another, both fetched if need be. Errors: those of ``Supply.packed``."""
    with supply.packed(old) as before, supply.packed(new) as after:
        lines = [
            manifest(packed, supply.at_rest(ware)[0], limits=UNLIMITED)
            for ware, packed in ((old, before), (new, after))
        ]
        return list(islice(compare(*lines), most))
