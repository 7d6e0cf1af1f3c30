"""Plain values -> canonical text: tabs, a member or element a line, ``{}`` and ``[]`` when empty, one final newline."""

from __future__ import annotations

from typing import Any

import msgspec


def layout(value: Any) -> bytes:
    """The canonical text of plain values; members in the order of the dict."""
    out: list[str] = []
    _write(value, "\n", out)
    out.append("\n")
    return "".join(out).encode()


def _write(value: Any, newline: str, out: list[str]) -> None:
    if not isinstance(value, dict | list) or not value:
        out.append(msgspec.json.encode(value).decode())
        return
    inner = newline + "\t"
    before = inner
    if isinstance(value, dict):
        out.append("{")
        for key, item in value.items():
            out.append(f"{before}{msgspec.json.encode(key).decode()}: ")
            _write(item, inner, out)
            before = "," + inner
        out.append(newline + "}")
        return
    out.append("[")
    for item in value:
        out.append(before)
        _write(item, inner, out)
        before = "," + inner
    out.append(newline + "]")
