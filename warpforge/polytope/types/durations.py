"""Durations that code gives."""

from __future__ import annotations

from warpforge.errors import Invalid
from warpforge.polytope.nouns import Value
from warpforge.polytope.types.basic import Wrong, parse_duration


def read_duration(value: Value) -> float:
    """Seconds, of ``30s``, or of a plain number: milliseconds, as timers of code have it.

    Errors: ``invalid-argument``.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15:
        return value / 1000
    try:
        return parse_duration(value.strip() if isinstance(value, str) else "")
    except Wrong as error:
        raise Invalid("invalid-argument", str(error), value=value) from error
