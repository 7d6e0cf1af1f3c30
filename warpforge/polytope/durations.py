"""Durations as polytope files spell them: ``10ms 30s 5m 2h 1d 1w 1mo 1y``."""

from __future__ import annotations

import re
from typing import Final

from warpforge.errors import Invalid
from warpforge.polytope.nouns import Value

_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|mo|m|h|d|w|y)")
_SECONDS: Final = {
    "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "mo": 30 * 86400.0, "y": 365 * 86400.0,
}  # fmt: skip


def parse_duration(value: Value) -> float:
    """Seconds. A plain number is milliseconds, as timers of code have it. Errors: ``invalid-argument``."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15:
        return value / 1000
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Invalid("invalid-argument", f"{value!r} is no duration: 10ms, 30s, 5m, 2h, 1d, 1w, 1mo, 1y", value=value)
    return float(match[1]) * _SECONDS[match[2]]
