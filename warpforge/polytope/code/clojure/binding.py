"""Destructuring: a target, a value -> names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from warpforge.polytope.code.clojure.data import (
    ClojureError,
    Keyword,
    List,
    Map,
    Symbol,
    Vector,
    get,
    is_sequential,
    items,
)


def bind(target: Any, value: Any, names: dict[str, Any], default: Callable[[Any], Any]) -> None:
    """Bind a symbol, a vector or a map of targets. ``default`` evaluates what :or holds. Errors: ClojureError."""
    if isinstance(target, Symbol):
        names[target.name] = value
    elif isinstance(target, Vector):
        _bind_in_order(target, value, names, default)
    elif isinstance(target, Map):
        _bind_by_key(target, value, names, default)
    else:
        raise ClojureError(f"{target!r} cannot be bound: a name was expected")


def _bind_in_order(target: Vector, value: Any, names: dict[str, Any], default: Callable[[Any], Any]) -> None:
    source = iter(items(value))
    parts = iter(target)
    for part in parts:
        if part == Symbol("&"):
            rest = List(source)
            bind(next(parts), rest or None, names, default)
        elif part == Keyword("as"):
            bind(next(parts), value, names, default)
        else:
            bind(part, next(source, None), names, default)


def _bind_by_key(target: Map, value: Any, names: dict[str, Any], default: Callable[[Any], Any]) -> None:
    if is_sequential(value):  # the rest of a call, as keys and values
        flat = list(value)
        value = Map(zip(flat[::2], flat[1::2], strict=False))
    defaults = target.get(Keyword("or")) or {}
    for part, key in target.items():
        if isinstance(part, Keyword):
            _bind_special(part, key, value, names, defaults, default)
        else:
            bind(part, _take(value, key, part, defaults, default), names, default)


def _bind_special(
    part: Keyword, listed: Any, value: Any, names: dict[str, Any], defaults: Any, default: Callable[[Any], Any]
) -> None:
    if part.name == "as":
        bind(listed, value, names, default)
    elif part.name in ("keys", "strs", "syms"):
        for item in listed:
            name = item.name.rpartition("/")[2]
            key = {"keys": Keyword(item.name), "strs": item.name, "syms": Symbol(item.name)}[part.name]
            names[name] = _take(value, key, Symbol(name), defaults, default)
    elif part.name != "or":
        raise ClojureError(f"{part!r} is not known in a map of names")


_ABSENT = object()


def _take(value: Any, key: Any, part: Any, defaults: Any, default: Callable[[Any], Any]) -> Any:
    found = get(value, key, _ABSENT)
    if found is _ABSENT:
        return default(defaults[part]) if isinstance(part, Symbol) and part in defaults else None
    return found
