"""Sequences that are made at once, and what is made of sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

from warpforge.polytope.code.clojure.core_lazy import drop, filter_all, map_all, take_while
from warpforge.polytope.code.clojure.core_numbers import order, truth
from warpforge.polytope.code.clojure.data import (
    ClojureError,
    Lazy,
    List,
    Map,
    Set,
    Vector,
    call,
    equal,
    get,
    items,
)


class Reduced:
    """What ends a reduce early."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def seq(value: Any) -> Any:
    """nil when there is nothing in it."""
    if isinstance(value, Lazy):
        return value if any(True for _ in value) else None
    return List(items(value)) or None


def first(value: Any) -> Any:
    return next(iter(items(value)), None)


def nth(collection: Any, number: int, *default: Any) -> Any:
    """Errors: ClojureError when there are not that many and no default."""
    found = next(itertools.islice(items(collection), number, None), default[0] if default else seq)
    if found is seq:
        raise ClojureError(f"there is no item {number}")
    return found


def last(collection: Any) -> Any:
    found = None
    for found in items(collection):  # noqa: B007 (the last one is what is asked for)
        pass
    return found


def reduce(function: Any, *rest: Any) -> Any:
    """``(reduce f coll)`` and ``(reduce f start coll)``."""
    values = iter(items(rest[-1]))
    if len(rest) > 1:
        total = rest[0]
    else:
        total = next(values, reduce)
        if total is reduce:
            return call(function)
    for value in values:
        total = call(function, total, value)
        if isinstance(total, Reduced):
            return total.value
    return total


def _reduce_kv(function: Any, start: Any, collection: Any) -> Any:
    return reduce(lambda total, entry: call(function, total, entry[0], entry[1]), start, collection)


def _some(test: Any, collection: Any) -> Any:
    return next((found for value in items(collection) if truth(found := call(test, value))), None)


def count(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else sum(1 for _ in items(value))


def conj(collection: Any, *values: Any) -> Any:
    """To the end of a vector, the front of a list, into a map or set."""
    if isinstance(collection, Vector):
        return Vector((*collection, *values))
    if isinstance(collection, Set):
        return Set(collection | set(values))
    if isinstance(collection, Map):
        made = Map(collection)
        for value in values:
            made.update(value if isinstance(value, Map) else [tuple(value)])
        return made
    return List((*reversed(values), *items(collection)))


def into(target: Any, *rest: Any) -> Any:
    source = list(items(rest[-1]))
    if len(rest) > 1:
        raise ClojureError("into takes no transducer here")
    if isinstance(target, Map):
        return Map({**target, **dict(tuple(entry) for entry in source)})
    return conj(target, *source)


def _sort(*values: Any) -> Any:
    return List(sorted(items(values[-1]), key=order(values[0] if len(values) > 1 else None)))


def _sort_by(function: Any, *rest: Any) -> Any:
    key = order(rest[0] if len(rest) > 1 else None)
    return List(sorted(items(rest[-1]), key=lambda value: key(call(function, value))))


def _group_by(function: Any, collection: Any) -> Map:
    made: dict[Any, list[Any]] = {}
    for value in items(collection):
        made.setdefault(call(function, value), []).append(value)
    return Map((key, Vector(values)) for key, values in made.items())


def _frequencies(collection: Any) -> Map:
    made = Map()
    for value in items(collection):
        made[value] = made.get(value, 0) + 1
    return made


def _split_at(count: int, collection: Any) -> Vector:
    values = list(items(collection))
    return Vector((List(values[:count]), List(values[count:])))


def _split_with(test: Any, collection: Any) -> Vector:
    values = list(items(collection))
    head = list(take_while(test, List(values)))
    return Vector((List(head), List(values[len(head) :])))


def _extreme(*, least: bool) -> Callable[..., Any]:
    def choose(function: Any, *values: Any) -> Any:
        pick = min if least else max
        return pick(values, key=lambda value: call(function, value))

    return choose


def _every(test: Any, collection: Any) -> bool:
    return all(truth(call(test, value)) for value in items(collection))


def _doall(collection: Any) -> Any:
    for _ in items(collection):
        pass
    return collection


def _run(function: Any, collection: Any) -> None:
    for value in items(collection):
        call(function, value)


def _subvec(vector: Any, start: int, *end: int) -> Vector:
    stop = end[0] if end else len(vector)
    if not 0 <= start <= stop <= len(vector):
        raise ClojureError("there are not that many items")
    return Vector(vector[start:stop])


def _empty_like(collection: Any) -> Any:
    return type(collection)() if isinstance(collection, Vector | Map | Set) else List()


def _index_of(collection: Any, wanted: Any) -> int:
    return next((number for number, value in enumerate(items(collection)) if equal(value, wanted)), -1)


def _replace(by: Any, collection: Any) -> Any:
    made = (get(by, value, value) for value in items(collection))
    return Vector(made) if isinstance(collection, Vector) else List(made)


NAMES: Final[dict[str, Any]] = {
    "mapv": lambda *values: Vector(map_all(*values)),
    "filterv": lambda *values: Vector(filter_all(*values)),
    "take-last": lambda number, collection: List(list(items(collection))[-number:] if number > 0 else ()),
    "drop-last": lambda *values: List(list(items(values[-1]))[: -(values[0] if len(values) > 1 else 1) or None]),
    "take-nth": lambda number, collection: List(list(items(collection))[::number]),
    "butlast": lambda collection: List(list(items(collection))[:-1]) or None,
    "dedupe": lambda collection: List(key for key, _ in itertools.groupby(items(collection))),
    "seq": seq,
    "not-empty": lambda collection: collection if seq(collection) is not None else None,
    "empty?": lambda collection: seq(collection) is None,
    "empty": _empty_like,
    "first": first,
    "second": lambda collection: nth(collection, 1, None),
    "nfirst": lambda collection: seq(Lazy(drop(1, first(collection)))),
    "replace": _replace,
    "ffirst": lambda collection: first(first(collection)),
    "last": last,
    "peek": lambda collection: last(collection) if isinstance(collection, Vector) else first(collection),
    "pop": lambda collection: Vector(collection[:-1]) if isinstance(collection, Vector) else List(collection[1:]),
    "rest": lambda collection: Lazy(drop(1, collection)),
    "next": lambda collection: seq(Lazy(drop(1, collection))),
    "nthrest": lambda collection, number: Lazy(drop(number, collection)),
    "nthnext": lambda collection, number: seq(Lazy(drop(number, collection))),
    "nth": nth,
    "count": count,
    "cons": lambda value, collection: Lazy(itertools.chain((value,), items(collection))),
    "conj": conj,
    "into": into,
    "list": lambda *values: List(values),
    "list*": lambda *values: List((*values[:-1], *items(values[-1]))),
    "vector": lambda *values: Vector(values),
    "vec": lambda collection: Vector(items(collection)),
    "set": lambda collection: Set(items(collection)),
    "hash-set": lambda *values: Set(values),
    "sorted-set": lambda *values: Set(values),
    "reverse": lambda collection: List(reversed(list(items(collection)))),
    "rseq": lambda collection: List(reversed(collection)) or None,
    "sort": _sort,
    "sort-by": _sort_by,
    "group-by": _group_by,
    "frequencies": _frequencies,
    "split-at": _split_at,
    "split-with": _split_with,
    "min-key": _extreme(least=True),
    "max-key": _extreme(least=False),
    "reduce": reduce,
    "reduce-kv": _reduce_kv,
    "reduced": Reduced,
    "some": _some,
    "every?": _every,
    "not-every?": lambda test, collection: not _every(test, collection),
    "not-any?": lambda test, collection: _some(test, collection) is None,
    "any?": lambda value: True,
    "doall": _doall,
    "dorun": lambda collection: _doall(collection) and None,
    "run!": _run,
    "subvec": _subvec,
    ".indexOf": lambda collection, value: (
        collection.find(value) if isinstance(collection, str) else _index_of(collection, value)
    ),
}
