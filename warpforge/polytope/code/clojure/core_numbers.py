"""Numbers, comparison, types, functions of functions, exceptions and atoms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise
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
    call,
    equal,
    is_sequential,
    items,
    type_name,
)
from warpforge.polytope.code.clojure.printing import write

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


class Atom:
    """A place whose value is changed."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def number(value: Any) -> int | float:
    """Errors: ClojureError when it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ClojureError(f"{type_name(value)} is no number")


def _long(value: int | float) -> int | float:
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise ClojureError("integer overflow")
    return value


def _add(*values: Any) -> Any:
    total: int | float = 0
    for value in values:
        total = _long(total + number(value))
    return total


def _subtract(first: Any, *rest: Any) -> Any:
    if not rest:
        return _long(-number(first))
    total = number(first)
    for value in rest:
        total = _long(total - number(value))
    return total


def _multiply(*values: Any) -> Any:
    total: int | float = 1
    for value in values:
        total = _long(total * number(value))
    return total


def _divide(first: Any, *rest: Any) -> Any:
    values = [number(first), *map(number, rest)] if rest else [1, number(first)]
    total = values[0]
    for value in values[1:]:
        if isinstance(total, int) and isinstance(value, int) and total % value == 0:
            total //= value
        else:
            total = total / value
    return total


def _quot(one: Any, other: Any) -> Any:
    exact = abs(number(one)) // abs(number(other))
    return exact if (one < 0) == (other < 0) else -exact


def _rem(one: Any, other: Any) -> Any:
    return one - other * _quot(one, other)


def _chain(test: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def compare_all(*values: Any) -> bool:
        return all(test(one, other) for one, other in pairwise(values))

    return compare_all


def compare(one: Any, other: Any) -> int:
    """``compare``: nil is the least. Errors: ClojureError for what has no order."""
    if one is None or other is None:
        return (one is not None) - (other is not None)
    if isinstance(one, Keyword | Symbol) and type(one) is type(other):
        one, other = one.name, other.name
    elif is_sequential(one) and is_sequential(other):
        return _compare_items(list(one), list(other))
    try:
        return int(one > other) - int(one < other)
    except TypeError as error:
        raise ClojureError(f"{type_name(one)} and {type_name(other)} have no order") from error


def _compare_items(one: list[Any], other: list[Any]) -> int:
    if len(one) != len(other):
        return (len(one) > len(other)) - (len(one) < len(other))
    return next((found for found in map(compare, one, other) if found), 0)


def order(comparer: Any = None) -> Any:
    """A key for sorting; a comparer may answer a number, or whether the first goes first."""
    if comparer is None:
        return cmp_to_key(compare)

    def compare_by(one: Any, other: Any) -> int:
        found = call(comparer, one, other)
        if isinstance(found, bool):
            return -1 if found else int(truth(call(comparer, other, one)))
        return int(found)

    return cmp_to_key(compare_by)


def truth(value: Any) -> bool:
    return value is not None and value is not False


def clojure_hash(value: Any) -> int:
    """The same value, the same number, everywhere: of its text, as Java hashes texts."""
    total = 0
    for char in write(value):
        total = (31 * total + ord(char)) & 0xFFFFFFFF
    return total - (1 << 32) if total >= 1 << 31 else total


def _parse_int(text: Any, base: int = 10) -> int:
    try:
        return int(str(text).strip() if isinstance(text, str) else text, base)
    except (ValueError, TypeError) as error:
        raise ClojureError(f'For input string: "{text}"') from error


def _parse_float(text: Any) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ClojureError(f'For input string: "{text}"') from error


def _maybe(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parse_or_nil(text: Any) -> Any:
        try:
            return parse(text)
        except ClojureError:
            return None

    return parse_or_nil


def _comp(*functions: Any) -> Any:
    def composed(*values: Any) -> Any:
        if not functions:
            return values[0]
        result = call(functions[-1], *values)
        for function in reversed(functions[:-1]):
            result = call(function, result)
        return result

    return composed


def _apply(function: Any, *values: Any) -> Any:
    return call(function, *values[:-1], *items(values[-1]))


def _swap(atom: Any, function: Any, *values: Any) -> Any:
    atom.value = call(function, _atom(atom).value, *values)
    return atom.value


def _reset(atom: Any, value: Any) -> Any:
    _atom(atom).value = value
    return value


def _atom(value: Any) -> Atom:
    if isinstance(value, Atom):
        return value
    raise ClojureError(f"{type_name(value)} is no atom")


def _deref(value: Any) -> Any:
    return _atom(value).value


def _ex_message(error: Any) -> Any:
    return error.message if isinstance(error, ClojureError) else None


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shift(value: int, by: int) -> int:
    return value << by if 0 <= by < 64 else 0


NAMES: Final[dict[str, Any]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "quot": _quot,
    "rem": _rem,
    "mod": lambda one, other: number(one) % number(other),
    "inc": lambda value: _long(number(value) + 1),
    "dec": lambda value: _long(number(value) - 1),
    "max": lambda *values: max(map(number, values)),
    "min": lambda *values: min(map(number, values)),
    "abs": lambda value: abs(number(value)),
    "Math/abs": lambda value: abs(number(value)),
    "Math/floor": lambda value: float(math.floor(value)),
    "Math/ceil": lambda value: float(math.ceil(value)),
    "Math/round": lambda value: math.floor(value + 0.5),
    "Math/max": lambda one, other: max(number(one), number(other)),
    "Math/min": lambda one, other: min(number(one), number(other)),
    "Math/pow": lambda one, other: float(one) ** float(other),
    "Math/sqrt": lambda value: math.sqrt(number(value)),
    "bit-and": lambda one, other: one & other,
    "bit-or": lambda one, other: one | other,
    "bit-xor": lambda one, other: one ^ other,
    "bit-shift-left": _shift,
    "bit-shift-right": lambda value, by: value >> by,
    "=": _chain(equal),
    "==": _chain(lambda one, other: number(one) == number(other)),
    "not=": lambda *values: not _chain(equal)(*values),
    "<": _chain(lambda one, other: number(one) < number(other)),
    ">": _chain(lambda one, other: number(one) > number(other)),
    "<=": _chain(lambda one, other: number(one) <= number(other)),
    ">=": _chain(lambda one, other: number(one) >= number(other)),
    "compare": compare,
    "identical?": equal,
    "hash": clojure_hash,
    "not": lambda value: not truth(value),
    "boolean": truth,
    "identity": lambda value: value,
    "constantly": lambda value: lambda *ignored: value,
    "complement": lambda function: lambda *values: not truth(call(function, *values)),
    "partial": lambda function, *first: lambda *values: call(function, *first, *values),
    "comp": _comp,
    "memoize": lambda function: function,  # values never change: only the time would
    "juxt": lambda *functions: lambda *values: Vector(call(function, *values) for function in functions),
    "fnil": lambda function, default: (
        lambda first=None, *values: call(function, default if first is None else first, *values)
    ),
    "every-pred": lambda *tests: lambda value: all(truth(call(test, value)) for test in tests),
    "some-fn": lambda *tests: lambda value: next((f for test in tests if truth(f := call(test, value))), None),
    "apply": _apply,
    "atom": Atom,
    "swap!": _swap,
    "reset!": _reset,
    "deref": _deref,
    "ex-info": lambda message, data=None, cause=None: ClojureError(str(message), data),
    "ex-message": _ex_message,
    "ex-data": lambda error: error.data if isinstance(error, ClojureError) else None,
    "ex-cause": lambda error: None,
    ".getMessage": _ex_message,
    "nil?": lambda value: value is None,
    "some?": lambda value: value is not None,
    "true?": lambda value: value is True,
    "false?": lambda value: value is False,
    "boolean?": _is(bool),
    "string?": lambda value: isinstance(value, str) and not isinstance(value, Char),
    "char?": _is(Char),
    "keyword?": _is(Keyword),
    "symbol?": _is(Symbol),
    "ident?": _is(Keyword, Symbol),
    "map?": _is(Map),
    "vector?": _is(Vector),
    "list?": _is(List),
    "set?": _is(Set),
    "seq?": _is(List, Lazy),
    "sequential?": is_sequential,
    "coll?": _is(List, Vector, Map, Set, Lazy),
    "seqable?": lambda value: value is None or isinstance(value, str | List | Vector | Map | Set | Lazy),
    "associative?": _is(Map, Vector),
    "fn?": lambda value: callable(value) and not isinstance(value, type),
    "ifn?": lambda value: callable(value) or isinstance(value, Keyword | Symbol | Map | Set | Vector),
    "number?": _is_number,
    "int?": _is_int,
    "integer?": _is_int,
    "float?": _is(float),
    "double?": _is(float),
    "zero?": lambda value: number(value) == 0,
    "pos?": lambda value: number(value) > 0,
    "neg?": lambda value: number(value) < 0,
    "pos-int?": lambda value: _is_int(value) and value > 0,
    "nat-int?": lambda value: _is_int(value) and value >= 0,
    "even?": lambda value: value % 2 == 0,
    "odd?": lambda value: value % 2 == 1,
    "instance?": lambda kind, value: isinstance(value, kind) if isinstance(kind, type) else False,
    "int": lambda value: ord(value) if isinstance(value, Char) else int(number(value)),
    "long": lambda value: int(number(value)),
    "double": lambda value: float(number(value)),
    "float": lambda value: float(number(value)),
    "num": number,
    "char": lambda value: Char(value if isinstance(value, str) else chr(value)),
    "Integer/parseInt": _parse_int,
    "Long/parseLong": _parse_int,
    "Integer/valueOf": _parse_int,
    "Double/parseDouble": _parse_float,
    "Float/parseFloat": _parse_float,
    "Boolean/parseBoolean": lambda text: str(text).lower() == "true",
    "parse-long": _maybe(_parse_int),
    "parse-double": _maybe(_parse_float),
    "parse-boolean": {"true": True, "false": False}.get,
    "String": str,
    "Exception": ClojureError,
    "Throwable": ClojureError,
    "Error": ClojureError,
    "ExceptionInfo": ClojureError,
    "Regex": Regex,
}
