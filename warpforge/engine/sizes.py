"""Sizes: how many bytes a ware has when it is packed, as far as anybody on this machine knows.

No ware is read for it: the index remembers every ware that the store ever held, and ``sizes.json`` of a workspace
(``{"sizes.v1": {WAREID: BYTES}}``), which bundles and capsules carry, what its catalog names. Hints, part of no id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.catalog.capsule import read_capsule
from warpforge.engine.reach import read_config
from warpforge.errors import WarpforgeError, store_error
from warpforge.fsx.atomic import write_atomic
from warpforge.model.atoms import WareId
from warpforge.model.layout import layout

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine

FILE: Final = "sizes.json"
_CAPSULE: Final = "sizes.v1"


class Sizes:
    """Over the store and the workspaces of an engine; one for a command."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, ware: WareId) -> int | None:
        """The packed bytes of a ware; None when nobody here knows."""
        size = self._engine.store.index.size(ware)
        return self._carried.get(str(ware)) if size is None else size

    def known(self, wares: Iterable[WareId]) -> dict[str, int]:
        """Of these, all that are known."""
        return {str(ware): size for ware in wares if (size := self.of(ware)) is not None}

    @cached_property
    def _carried(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for workspace in reversed(self._engine.stack):
            found |= load_sizes(workspace.internal)
        return found


def load_sizes(internal: Path) -> dict[str, int]:
    """What a workspace carries; a file that is not right says nothing."""
    with suppress(WarpforgeError):
        data = read_config(internal / FILE)
        if data is not None:
            return {ware: size for ware, size in read_capsule(data, FILE, _CAPSULE, dict[str, int]).items() if size > 0}
    return {}


def add_sizes(internal: Path, sizes: Mapping[str, int]) -> None:
    """Let a workspace carry these, too. Errors: ``store``."""
    known = load_sizes(internal)
    if all(known.get(ware) == size for ware, size in sizes.items()):
        return
    path = internal / FILE
    try:
        write_atomic(path, layout({_CAPSULE: dict(sorted({**known, **sizes}.items()))}))
    except OSError as error:
        raise store_error(error, f"cannot write {path}") from error
