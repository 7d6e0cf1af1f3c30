"""Origins: from where a ware came whose parts lie in several places, such as a commit with its submodules. History.

One small JSON file a ware, written anew whenever it comes again: ``{"origin.v1": [{"path", "part", "from"}, ...]}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.model.atoms import WareId

from .finding import corrupt, storing
from .layout import Layout
from .staging import Staging


class Part(NamedTuple):
    """What lies at ``path`` ("." for the whole): its id, such as a commit's, and the address that it came from."""

    path: str
    part: str
    address: str


class Origins:
    """The origins of a store's wares."""

    def __init__(self, layout: Layout, staging: Staging) -> None:
        self._layout = layout
        self._staging = staging

    def record(self, ware: WareId, parts: Iterable[Part]) -> None:
        """Remember from where a ware came. Errors: ``store``."""
        rows = [{"path": part.path, "part": part.part, "from": part.address} for part in parts]
        goal = self._layout.origin(ware)
        with storing(f"cannot record from where {ware} came"):
            make_dirs(os.path.dirname(goal), sync=False)
            text = json.dumps({"origin.v1": rows}, indent="\t") + "\n"
            write_atomic(goal, text.encode("ascii"), staging=self._staging.directory(), sync=False)

    def find(self, ware: WareId) -> list[Part]:
        """From where a ware came; nothing when nobody knows. Errors: ``store`` (corrupt)."""
        path = self._layout.origin(ware)
        if not os.path.lexists(path):
            return []
        try:
            with storing(f"cannot read from where {ware} came"), open(path, "rb") as file:
                rows = json.loads(file.read())["origin.v1"]
                return [Part(str(row["path"]), str(row["part"]), str(row["from"])) for row in rows]
        except (ValueError, KeyError, TypeError):
            raise corrupt(f"the origin of {ware}", path) from None
