"""What may leave a worker: data that everybody can hold, print and write."""

from __future__ import annotations

import math
from typing import Any, Final

from warpforge.polytope.code.faults import Fault

DEPTH_LIMIT: Final = 100


def vet(value: Any) -> Any:
    """The value. Errors: Fault: nested too deep, numbers beyond 64 bits or not finite, text that is no Unicode."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        if isinstance(part, dict | list):
            if depth >= DEPTH_LIMIT:
                raise Fault(f"the value is nested more than {DEPTH_LIMIT} deep")
            waiting += [(inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part)]
            waiting += [(key, depth + 1) for key in part] if isinstance(part, dict) else []
        elif isinstance(part, str):
            if not part.isascii() and any("\ud800" <= char <= "\udfff" for char in part):
                raise Fault("the value holds text that is no Unicode")
        elif isinstance(part, float) and not math.isfinite(part):
            raise Fault(f"the value holds {part}, which is no number that anybody could write down")
        elif isinstance(part, int) and not -(1 << 63) <= part < 1 << 63:
            raise Fault("the value holds a number that is larger than 64 bits")
    return value
