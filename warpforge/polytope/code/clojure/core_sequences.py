"""Sequences. What may be endless is lazy; the rest is made at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

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
    items,
)


class Reduced:
    """What ends a reduce early."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _lazy(make: Callable[..., Iterator[Any]]) -> Callable[..., Lazy]:
    return lambda *values: Lazy(make(*values))


def _map(function: Any, *collections: Any) -> Iterator[Any]:
    for values in zip(*map(items, collections), strict=False):
        yield call(function, *values)


def _map_indexed(function: Any, collection: Any) -> Iterator[Any]:
    for number, value in enumerate(items(collection)):
        yield call(function, number, value)


def _filter(test: Any, collection: Any) -> Iterator[Any]:
    return (value for value in items(collection) if truth(call(test, value)))


def _remove(test: Any, collection: Any) -> Iterator[Any]:
    return (value for value in items(collection) if not truth(call(test, value)))


def _keep(function: Any, collection: Any) -> Iterator[Any]:
    return (made for value in items(collection) if (made := call(function, value)) is not None)


def _keep_indexed(function: Any, collection: Any) -> Iterator[Any]:
    found = (call(function, number, value) for number, value in enumerate(items(collection)))
    return (made for made in found if made is not None)


def _concat(*collections: Any) -> Iterator[Any]:
    return (value for collection in collections for value in items(collection))


def _mapcat(function: Any, *collections: Any) -> Iterator[Any]:
    return (value for made in _map(function, *collections) for value in items(made))


def _range(*bounds: Any) -> Iterator[Any]:
    if not bounds:
        return itertools.count()
    if all(isinstance(bound, int) for bound in bounds):
        return iter(range(*bounds))
    start, end, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    return itertools.takewhile(lambda value: value < end if step > 0 else value > end, itertools.count(start, step))


def _repeat(*values: Any) -> Iterator[Any]:
    return itertools.repeat(values[0]) if len(values) == 1 else itertools.repeat(values[1], values[0])


def _repeatedly(*values: Any) -> Iterator[Any]:
    times: Any = itertools.count() if len(values) == 1 else range(values[0])
    return (call(values[-1]) for _ in times)


def _iterate(function: Any, value: Any) -> Iterator[Any]:
    while True:
        yield value
        value = call(function, value)


def _take(count: int, collection: Any) -> Iterator[Any]:
    return itertools.islice(items(collection), max(count, 0))


def _drop(count: int, collection: Any) -> Iterator[Any]:
    return itertools.islice(items(collection), max(count, 0), None)


def _take_while(test: Any, collection: Any) -> Iterator[Any]:
    return itertools.takewhile(lambda value: truth(call(test, value)), items(collection))


def _drop_while(test: Any, collection: Any) -> Iterator[Any]:
    return itertools.dropwhile(lambda value: truth(call(test, value)), items(collection))


def _interpose(between: Any, collection: Any) -> Iterator[Any]:
    for number, value in enumerate(items(collection)):
        if number:
            yield between
        yield value


def _interleave(*collections: Any) -> Iterator[Any]:
    return (value for values in zip(*map(items, collections), strict=False) for value in values)


def _distinct(collection: Any) -> Iterator[Any]:
    seen: set[Any] = set()
    for value in items(collection):
        if value not in seen:
            seen.add(value)
            yield value


def _flatten(collection: Any) -> Iterator[Any]:
    for value in items(collection) if not isinstance(collection, str) else ():
        if isinstance(value, Vector | List | Lazy):
            yield from _flatten(value)
        else:
            yield value


def _partition(count: int, *rest: Any) -> Iterator[Any]:
    step = rest[0] if len(rest) > 1 else count
    values = list(items(rest[-1]))
    for start in range(0, len(values) - count + 1, step):
        yield List(values[start : start + count])


def _partition_all(count: int, *rest: Any) -> Iterator[Any]:
    step = rest[0] if len(rest) > 1 else count
    values = list(items(rest[-1]))
    return (List(values[start : start + count]) for start in range(0, len(values), step))


def _partition_by(function: Any, collection: Any) -> Iterator[Any]:
    for _, group in itertools.groupby(items(collection), lambda value: call(function, value)):
        yield List(group)


def _cycle(collection: Any) -> Iterator[Any]:
    return itertools.cycle(list(items(collection)))


def _reductions(function: Any, *rest: Any) -> Iterator[Any]:
    values = iter(items(rest[-1]))
    total = rest[0] if len(rest) > 1 else next(values)
    yield total
    for value in values:
        total = call(function, total, value)
        yield total


def _tree(branches: Any, children: Any, root: Any) -> Iterator[Any]:
    yield root
    if truth(call(branches, root)):
        for child in items(call(children, root)):
            yield from _tree(branches, children, child)


def _later(make: Any) -> Iterator[Any]:
    yield from items(call(make))


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
    head = list(_take_while(test, List(values)))
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


NAMES: Final[dict[str, Any]] = {
    "map": _lazy(_map),
    "mapv": lambda *values: Vector(_map(*values)),
    "map-indexed": _lazy(_map_indexed),
    "filter": _lazy(_filter),
    "filterv": lambda *values: Vector(_filter(*values)),
    "remove": _lazy(_remove),
    "keep": _lazy(_keep),
    "keep-indexed": _lazy(_keep_indexed),
    "concat": _lazy(_concat),
    "mapcat": _lazy(_mapcat),
    "range": _lazy(_range),
    "repeat": _lazy(_repeat),
    "repeatedly": _lazy(_repeatedly),
    "iterate": _lazy(_iterate),
    "cycle": _lazy(_cycle),
    "take": _lazy(_take),
    "drop": _lazy(_drop),
    "take-while": _lazy(_take_while),
    "drop-while": _lazy(_drop_while),
    "take-last": lambda number, collection: List(list(items(collection))[-number:] if number > 0 else ()),
    "drop-last": lambda *values: List(list(items(values[-1]))[: -(values[0] if len(values) > 1 else 1) or None]),
    "take-nth": lambda number, collection: List(list(items(collection))[::number]),
    "butlast": lambda collection: List(list(items(collection))[:-1]) or None,
    "interpose": _lazy(_interpose),
    "interleave": _lazy(_interleave),
    "distinct": _lazy(_distinct),
    "dedupe": lambda collection: List(key for key, _ in itertools.groupby(items(collection))),
    "flatten": _lazy(_flatten),
    "partition": _lazy(_partition),
    "partition-all": _lazy(_partition_all),
    "partition-by": _lazy(_partition_by),
    "reductions": _lazy(_reductions),
    "tree-seq": _lazy(_tree),
    "__lazy": _lazy(_later),
    "seq": seq,
    "not-empty": lambda collection: collection if seq(collection) is not None else None,
    "empty?": lambda collection: seq(collection) is None,
    "empty": _empty_like,
    "first": first,
    "second": lambda collection: nth(collection, 1, None),
    "ffirst": lambda collection: first(first(collection)),
    "last": last,
    "peek": lambda collection: last(collection) if isinstance(collection, Vector) else first(collection),
    "pop": lambda collection: Vector(collection[:-1]) if isinstance(collection, Vector) else List(collection[1:]),
    "rest": lambda collection: Lazy(_drop(1, collection)),
    "next": lambda collection: seq(Lazy(_drop(1, collection))),
    "nthrest": lambda collection, number: Lazy(_drop(number, collection)),
    "nthnext": lambda collection, number: seq(Lazy(_drop(number, collection))),
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
