"""The tree of a packed ware as entries in canonical order, whatever order it was packed in."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .limits import UNLIMITED, Limits
from .overlay import Overlay
from .packer import get_packer
from .table import claims_table
from .tarball import Tarball

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry


@contextmanager
def open_tree(
    source: BinaryIO, packtype: str, limits: Limits = UNLIMITED, scratch: str | None = None
) -> Iterator[Iterator[tuple[Entry, Content | None]]]:
    """The tree of a stored ware; ``packtype``: as it is at rest. Errors: as ``scan``."""
    packer = get_packer(packtype)
    assert isinstance(packer, Tarball)
    if packtype != "tar" or claims_table(source):
        source.seek(0)
        with packer.entries(source, limits) as entries:
            yield entries
        return
    source.seek(0)
    with Overlay(limits, scratch, faithful=True) as overlay:
        with packer.members(source, limits) as members:
            overlay.add(members)
        yield overlay.entries()
