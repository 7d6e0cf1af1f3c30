"""Forms that are short for others."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final

from warpforge.polytope.code.clojure.data import ClojureError, List, Symbol, Vector

_numbers = count()


def form(*parts: Any, like: List | None = None) -> List:
    """A list of code; a text that begins it names a symbol. ``like``: stands where that one stood."""
    head = Symbol(parts[0]) if isinstance(parts[0], str) else parts[0]
    made = List((head, *parts[1:]))
    if like is not None:
        made.at = like.at
    return made


def _fresh() -> Symbol:
    return Symbol(f"__{next(_numbers)}")


def _pair(vector: Any) -> tuple[Any, Any]:
    if not isinstance(vector, Vector) or len(vector) != 2:
        raise ClojureError("one name and its value, in [ ], were expected")
    return vector[0], vector[1]


def _when(one: List) -> List:
    return form("if", one[1], form("do", *one[2:]), like=one)


def _when_not(one: List) -> List:
    return form("if", one[1], None, form("do", *one[2:]), like=one)


def _if_not(one: List) -> List:
    return form("if", form("not", one[1]), *one[2:], like=one)


def _if_let(one: List) -> List:
    name, value = _pair(one[1])
    held = _fresh()
    then = form("let", Vector((name, held)), one[2])
    return form("let", Vector((held, value)), form("if", held, then, *one[3:]), like=one)


def _when_let(one: List) -> List:
    return form("if-let", one[1], form("do", *one[2:]), like=one)


def _if_some(one: List) -> List:
    name, value = _pair(one[1])
    held = _fresh()
    then = form("let", Vector((name, held)), one[2])
    otherwise = one[3] if len(one) > 3 else None
    return form("let", Vector((held, value)), form("if", form("nil?", held), otherwise, then), like=one)


def _when_some(one: List) -> List:
    return form("if-some", one[1], form("do", *one[2:]), like=one)


def _cond(one: List) -> Any:
    clauses = one[1:]
    if len(clauses) % 2:
        raise ClojureError("cond takes tests and values in pairs")
    made: Any = None
    for test, value in reversed(list(zip(clauses[::2], clauses[1::2], strict=True))):
        made = form("if", test, value, made, like=one)
    return made


def _condp(one: List) -> Any:
    predicate, value = one[1], one[2]
    clauses = one[3:]
    held = _fresh()
    made: Any = clauses[-1] if len(clauses) % 2 else None
    pairs = list(zip(clauses[::2], clauses[1::2], strict=False))
    for test, then in reversed(pairs):
        made = form("if", form(predicate, test, held), then, made, like=one)
    return form("let", Vector((held, value)), made, like=one)


def _insert_first(value: Any, step: Any) -> List:
    return form(step[0], value, *step[1:], like=step) if isinstance(step, List) else form(step, value)


def _insert_last(value: Any, step: Any) -> List:
    return form(*step, value, like=step) if isinstance(step, List) else form(step, value)


def _thread(insert: Callable[[Any, Any], List]) -> Callable[[List], Any]:
    def rewrite(one: List) -> Any:
        value = one[1]
        for step in one[2:]:
            value = insert(value, step)
        return value

    return rewrite


def _thread_some(insert: Callable[[Any, Any], List]) -> Callable[[List], Any]:
    def rewrite(one: List) -> Any:
        if len(one) == 2:
            return one[1]
        held = _fresh()
        rest = form(one[0], insert(held, one[2]), *one[3:])
        return form("let", Vector((held, one[1])), form("if", form("nil?", held), None, rest), like=one)

    return rewrite


def _thread_cond(insert: Callable[[Any, Any], List]) -> Callable[[List], Any]:
    def rewrite(one: List) -> Any:
        held = _fresh()
        pairs: list[Any] = [held, one[1]]
        for test, step in zip(one[2::2], one[3::2], strict=True):
            pairs += [held, form("if", test, insert(held, step), held)]
        return form("let", Vector(pairs), held, like=one)

    return rewrite


def _as(one: List) -> Any:
    pairs: list[Any] = [one[2], one[1]]
    for step in one[3:]:
        pairs += [one[2], step]
    return form("let", Vector(pairs), one[2], like=one)


def _dotimes(one: List) -> List:
    name, number = _pair(one[1])
    return form("doseq", Vector((name, form("range", number))), *one[2:], like=one)


def _while(one: List) -> List:
    return form("loop", Vector(), form("when", one[1], *one[2:], form("recur")), like=one)


def _defn(one: List) -> List:
    rest = list(one[2:])
    if rest and isinstance(rest[0], str):  # what it is good for
        rest.pop(0)
    return form("def", one[1], form("fn", one[1], *rest), like=one)


def _doto(one: List) -> List:
    held = _fresh()
    steps = [_insert_first(held, step) for step in one[2:]]
    return form("let", Vector((held, one[1])), *steps, held, like=one)


def _lazy(one: List) -> List:
    return form("__lazy", form("fn", Vector(), *one[1:]), like=one)


def _assert(one: List) -> List:
    message = one[2] if len(one) > 2 else "Assert failed"
    return form("when-not", one[1], form("throw", form("ex-info", message, None)), like=one)


MACROS: Final[dict[str, Callable[[List], Any]]] = {
    "when": _when,
    "when-not": _when_not,
    "if-not": _if_not,
    "if-let": _if_let,
    "when-let": _when_let,
    "if-some": _if_some,
    "when-some": _when_some,
    "cond": _cond,
    "condp": _condp,
    "->": _thread(_insert_first),
    "->>": _thread(_insert_last),
    "some->": _thread_some(_insert_first),
    "some->>": _thread_some(_insert_last),
    "cond->": _thread_cond(_insert_first),
    "cond->>": _thread_cond(_insert_last),
    "as->": _as,
    "dotimes": _dotimes,
    "while": _while,
    "defn": _defn,
    "defn-": _defn,
    "doto": _doto,
    "lazy-seq": _lazy,
    "assert": _assert,
}
