"""Durations, sizes and numbers of things, as people spell them."""

from __future__ import annotations

import re
from typing import Final

from warpforge.errors import Invalid

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w|y)?\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(i?)B?\Z", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_duration(text: str) -> float:
    """``90s``, ``45m``, ``12h``, ``30d``, ``2w``, ``1y``, or 0; as seconds. Errors: ``invalid``."""
    found = _DURATION.match(text)
    if found is None or (found[2] is None and float(found[1])):
        raise Invalid("invalid", f"{text!r} is no duration: 90s, 45m, 12h, 30d, 2w, 1y", value=text)
    return float(found[1]) * _SECONDS[found[2] or "s"]


def counted(count: int, one: str, many: str = "") -> str:
    """``1 ware``, ``2 wares``; ``many``: for words that do not take an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def parse_size(text: str) -> int:
    """``500M``, ``10G`` (powers of 1000), ``10GiB`` (of 1024); as bytes. Errors: ``invalid``."""
    found = _SIZE.match(text)
    if found is None:
        raise Invalid("invalid", f"{text!r} is no size: 500M, 10G, 10GiB", value=text)
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].upper()])
