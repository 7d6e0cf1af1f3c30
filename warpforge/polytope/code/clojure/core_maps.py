"""Maps and sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from warpforge.polytope.code.clojure.core_numbers import order
from warpforge.polytope.code.clojure.core_sequences import conj, first
from warpforge.polytope.code.clojure.data import ClojureError, Keyword, List, Map, Set, Vector, call, equal, get, items


def assoc(collection: Any, *pairs: Any) -> Any:
    """A copy with other values at some keys; of a vector, at numbers."""
    if len(pairs) % 2:
        raise ClojureError("assoc takes keys and values in pairs")
    if isinstance(collection, Vector):
        made = list(collection)
        for number, value in zip(pairs[::2], pairs[1::2], strict=True):
            made[number : number + 1] = [value]
        return Vector(made)
    return Map({**(collection or {}), **dict(zip(pairs[::2], pairs[1::2], strict=True))})


def dissoc(collection: Any, *keys: Any) -> Any:
    return collection and Map((key, value) for key, value in (collection or {}).items() if key not in keys)


def _merge(*collections: Any) -> Any:
    made = Map()
    for collection in collections:
        made.update(collection if isinstance(collection, Map) else conj(Map(), *items(collection)))
    return made if any(collection is not None for collection in collections) else None


def _merge_with(function: Any, *collections: Any) -> Any:
    made = Map()
    for collection in collections:
        for key, value in (collection or {}).items():
            made[key] = call(function, made[key], value) if key in made else value
    return made


def get_in(collection: Any, keys: Any, default: Any = None) -> Any:
    absent = object()
    for key in items(keys):
        collection = get(collection, key, absent)
        if collection is absent:
            return default
    return collection


def _assoc_in(collection: Any, keys: Any, value: Any) -> Any:
    path = list(items(keys))
    if len(path) > 1:
        value = _assoc_in(get(collection, path[0]), List(path[1:]), value)
    return assoc(collection, path[0], value)


def update(collection: Any, key: Any, function: Any, *values: Any) -> Any:
    return assoc(collection, key, call(function, get(collection, key), *values))


def _update_in(collection: Any, keys: Any, function: Any, *values: Any) -> Any:
    return _assoc_in(collection, keys, call(function, get_in(collection, keys), *values))


def _select(collection: Any, keys: Any) -> Map:
    return Map((key, collection[key]) for key in items(keys) if collection and key in collection)


def _contains(collection: Any, key: Any) -> bool:
    if isinstance(collection, Vector | str):
        return isinstance(key, int) and 0 <= key < len(collection)
    if collection is None:
        return False
    if isinstance(collection, Map | Set):
        return key in collection
    raise ClojureError("contains? asks maps and sets")


def _over(part: Callable[[Any, Any], Any], *, keys: bool) -> Callable[[Any, Any], Map]:
    def change(collection: Any, function: Any) -> Map:
        changed = (
            (part(function, key), value) if keys else (key, part(function, value)) for key, value in pairs(collection)
        )
        return Map(changed)

    def pairs(collection: Any) -> Any:
        return (collection or {}).items()

    return change


def _rekeyed(spell: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """All keys of all maps within, spelled otherwise."""

    def change(value: Any) -> Any:
        if isinstance(value, Map):
            return Map((spell(key), change(inner)) for key, inner in value.items())
        return type(value)(map(change, value)) if isinstance(value, Vector | List | Set) else value

    return change


def _intersection(one: Any, *others: Any) -> Set:
    return Set(frozenset(one).intersection(*others))


def _zipmap(keys: Any, values: Any) -> Map:
    return Map(zip(items(keys), items(values), strict=False))


def _hash_map(*pairs: Any) -> Map:
    return assoc(Map(), *pairs)  # type: ignore[no-any-return]


def _sorted_map(*pairs: Any) -> Map:
    made = _hash_map(*pairs)
    return Map((key, made[key]) for key in sorted(made, key=order()))


def _find(collection: Any, key: Any) -> Any:
    return Vector((key, collection[key])) if _contains(collection, key) else None


NAMES: Final[dict[str, Any]] = {
    "get": get,
    "get-in": get_in,
    "assoc": assoc,
    "assoc-in": _assoc_in,
    "dissoc": dissoc,
    "update": update,
    "update-in": _update_in,
    "update-vals": _over(call, keys=False),
    "update-keys": _over(call, keys=True),
    "merge": _merge,
    "merge-with": _merge_with,
    "select-keys": _select,
    "contains?": _contains,
    "find": _find,
    "keys": lambda collection: List(collection or ()) or None,
    "vals": lambda collection: List((collection or {}).values()) or None,
    "key": first,
    "val": lambda entry: entry[1],
    "hash-map": _hash_map,
    "array-map": _hash_map,
    "sorted-map": _sorted_map,
    "zipmap": _zipmap,
    "disj": lambda collection, *values: Set(collection - set(values)),
    "clojure.set/union": lambda *sets: Set(value for one in sets for value in items(one)),
    "clojure.set/intersection": _intersection,
    "clojure.set/difference": lambda one, *others: Set(frozenset(one or ()).difference(*map(items, others))),
    "clojure.set/subset?": lambda one, other: frozenset(one) <= frozenset(other),
    "clojure.set/superset?": lambda one, other: frozenset(one) >= frozenset(other),
    "clojure.set/rename-keys": lambda collection, names: Map(
        (names.get(key, key), value) for key, value in collection.items()
    ),
    "clojure.walk/keywordize-keys": _rekeyed(lambda key: Keyword(key) if isinstance(key, str) else key),
    "clojure.walk/stringify-keys": _rekeyed(lambda key: key.name if isinstance(key, Keyword) else key),
    "distinct?": lambda *values: all(not equal(one, other) for i, one in enumerate(values) for other in values[:i]),
}
