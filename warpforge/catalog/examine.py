"""Examining many modules: by several processes when there are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from warpforge.fsx.spread import spread

from .check import Examined, check_module

MANY: Final = 400  # modules from which on other processes help
CHUNK: Final = 50


def examine(catalog: Path, modules: Sequence[str], jobs: int, *, rewrite: bool = False) -> Iterator[Examined]:
    """Each module, in this order. ``jobs``: processes at most. Errors: as ``check_module``."""
    chunks = [(catalog, modules[at : at + CHUNK], rewrite) for at in range(0, len(modules), CHUNK)]
    for found in spread(_chunk, chunks, jobs=jobs, least=MANY // CHUNK):
        yield from found


def _chunk(work: tuple[Path, Sequence[str], bool]) -> list[Examined]:
    catalog, modules, rewrite = work
    return [check_module(catalog, module, rewrite=rewrite) for module in modules]
