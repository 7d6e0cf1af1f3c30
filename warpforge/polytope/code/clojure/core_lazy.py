"""Sequences that are made as they are read, since they may never end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

from warpforge.polytope.code.clojure.core_numbers import truth
from warpforge.polytope.code.clojure.data import Lazy, List, Vector, call, items


def _lazy(make: Callable[..., Iterator[Any]]) -> Callable[..., Lazy]:
    return lambda *values: Lazy(make(*values))


def map_all(function: Any, *collections: Any) -> Iterator[Any]:
    for values in zip(*map(items, collections), strict=False):
        yield call(function, *values)


def _map_indexed(function: Any, collection: Any) -> Iterator[Any]:
    for number, value in enumerate(items(collection)):
        yield call(function, number, value)


def filter_all(test: Any, collection: Any) -> Iterator[Any]:
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
    return (value for made in map_all(function, *collections) for value in items(made))


def _range(*bounds: Any) -> Iterator[Any]:
    if not bounds:
        return itertools.count()
    if all(isinstance(bound, int) for bound in bounds):
        return iter(range(*bounds))
    start, end, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    return itertools.takewhile(lambda value: value < end if step > 0 else value > end, itertools.count(start, step))


def _repeat(*values: Any) -> Iterator[Any]:
    return itertools.repeat(values[0]) if len(values) == 1 else itertools.repeat(values[1], int(values[0]))


def _repeatedly(*values: Any) -> Iterator[Any]:
    times: Any = itertools.count() if len(values) == 1 else range(values[0])
    return (call(values[-1]) for _ in times)


def _iterate(function: Any, value: Any) -> Iterator[Any]:
    while True:
        yield value
        value = call(function, value)


def _take(count: int, collection: Any) -> Iterator[Any]:
    return itertools.islice(items(collection), max(count, 0))


def drop(count: int, collection: Any) -> Iterator[Any]:
    return itertools.islice(items(collection), max(count, 0), None)


def take_while(test: Any, collection: Any) -> Iterator[Any]:
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


NAMES: Final[dict[str, Any]] = {
    "map": _lazy(map_all),
    "map-indexed": _lazy(_map_indexed),
    "filter": _lazy(filter_all),
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
    "drop": _lazy(drop),
    "take-while": _lazy(take_while),
    "drop-while": _lazy(_drop_while),
    "interpose": _lazy(_interpose),
    "interleave": _lazy(_interleave),
    "distinct": _lazy(_distinct),
    "flatten": _lazy(_flatten),
    "partition": _lazy(_partition),
    "partition-all": _lazy(_partition_all),
    "partition-by": _lazy(_partition_by),
    "reductions": _lazy(_reductions),
    "tree-seq": _lazy(_tree),
    "__lazy": _lazy(_later),
}
