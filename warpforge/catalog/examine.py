"""Examining many modules: by several processes when there are many. A catalog with a view of the past is seen so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from warpforge.fsx.spread import spread

from .check import Examined, check_module
from .tree import Catalog
from .view import PastView

MANY: Final = 400  # modules from which on other processes help
CHUNK: Final = 50


def examine(catalog: Catalog, modules: Sequence[str], jobs: int, *, rewrite: bool = False) -> Iterator[Examined]:
    """Each module, in this order. ``jobs``: processes at most. Errors: as ``check_module``."""
    chunks = [(catalog, modules[at : at + CHUNK], rewrite) for at in range(0, len(modules), CHUNK)]
    for found in spread(_chunk, chunks, jobs=jobs, least=MANY // CHUNK):
        yield from found


def _chunk(work: tuple[Catalog, Sequence[str], bool]) -> list[Examined]:
    catalog, modules, rewrite = work
    if isinstance(catalog.view, PastView):
        from .check_past import check_past

        return [check_past(catalog, module) for module in modules]
    return [check_module(catalog.path, module, rewrite=rewrite) for module in modules]
