"""How values look as text: ``str`` for people, ``pr-str`` as the reader reads them."""

from __future__ import annotations

import math
from typing import Any, Final

from warpforge.polytope.code.clojure.data import (
    Char,
    ClojureError,
    Keyword,
    Lazy,
    List,
    Map,
    Regex,
    Set,
    Symbol,
    Vector,
)

_CHARS: Final = {"\n": "newline", " ": "space", "\t": "tab", "\r": "return", "\b": "backspace", "\f": "formfeed"}
_ESCAPED: Final = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"})


def show(value: Any) -> str:
    """``(str value)``: nil is empty, text is itself."""
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Regex):
        return value.source
    return write(value)


def write(value: Any) -> str:
    """``(pr-str value)``"""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Char):
        return "\\" + _CHARS.get(value, str(value))
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPED)}"'
    if isinstance(value, Keyword | Symbol):
        return repr(value)
    if isinstance(value, Map):
        return "{" + ", ".join(f"{write(key)} {write(inner)}" for key, inner in value.items()) + "}"
    for kind, opening, closing in ((Vector, "[", "]"), (Set, "#{", "}"), (List, "(", ")"), (Lazy, "(", ")")):
        if isinstance(value, kind):
            return opening + " ".join(map(write, value)) + closing
    if isinstance(value, Regex):
        return f'#"{value.source}"'
    if isinstance(value, ClojureError):
        return f'#error {{:message "{value.message}"}}'
    return "#function"


def _float(value: float) -> str:
    """As Java prints doubles: 1.0, 1.0E10, 1.0E-5."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = repr(value)
        return text if "e" not in text else f"{value:f}"
    digits = exponent = ""
    for precision in range(17):  # the shortest that reads back
        digits, _, exponent = f"{value:.{precision}e}".partition("e")
        if float(f"{digits}e{exponent}") == value:
            break
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"
