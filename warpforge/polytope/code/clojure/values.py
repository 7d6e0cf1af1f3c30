"""Plain values <-> Clojure's: the keys of maps are keywords inside."""

from __future__ import annotations

from typing import Any

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
from warpforge.polytope.code.clojure.printing import show
from warpforge.polytope.nouns import Value


def to_clojure(value: Value) -> Any:
    if isinstance(value, dict):
        return Map((Keyword(key), to_clojure(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return Vector(to_clojure(item) for item in value)
    return str(value) if isinstance(value, str) else value


def to_plain(value: Any) -> Value:
    """Errors: ClojureError for what is no data, as functions."""
    if isinstance(value, Keyword | Symbol):
        return value.name
    if isinstance(value, Map):
        return {_key(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, Set):
        return sorted((to_plain(item) for item in value), key=str)
    if isinstance(value, List | Vector | Lazy):
        return [to_plain(item) for item in value]
    if isinstance(value, Char):
        return str(value)
    if isinstance(value, Regex):
        return value.source
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ClojureError(f"the value is {'a function' if callable(value) else 'no data'}: nothing can be made of it")


def _key(key: Any) -> str:
    return key.name if isinstance(key, Keyword | Symbol) else show(key)
