"""Bounds: how much an archive whose id is not verified may unpack to, as a person or a workspace says.

``config/unpacking.json`` of each workspace in the stack, the nearest first, holds
``{"unpacking.v1": {"maxUnpacked": BYTES}}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from warpforge.engine.reach import read_config
from warpforge.pack.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from warpforge.workspace.find import Stack

FILE: Final = "unpacking.json"


def read_limits(stack: Stack, said: int | None) -> Limits:
    """``said``: bytes, of a person for this command. Errors: ``catalog-invalid``, ``serialization``, ``io``."""
    if said is not None:
        return DEFAULT.allowing(said)
    from warpforge.model.serial import load_unpacking

    for workspace in stack:
        data = read_config(workspace.config(FILE))
        if data is not None:
            return DEFAULT.allowing(load_unpacking(data, str(workspace.config(FILE))).noun.max_unpacked)
    return DEFAULT
