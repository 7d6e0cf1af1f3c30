"""The values of Clojure that Python lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final


class ClojureError(Exception):
    """What code raised, or what is wrong with it; ``data`` as ex-data gives it. ``at``: line and column, from 1."""

    def __init__(self, message: str, data: Any = None, *, at: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
        self.at = at


class SyntaxFault(ClojureError):
    """The text is no Clojure. ``is_stray``: only a closing bracket too many, after whole forms."""

    is_stray = False


class Keyword:
    """``:name``; the same name is the same object."""

    __slots__ = ("name",)
    _made: Final[dict[str, Keyword]] = {}
    name: str

    def __new__(cls, name: str) -> Keyword:
        found = cls._made.get(name)
        if found is None:
            found = cls._made[name] = super().__new__(cls)
            found.name = name
        return found

    def __repr__(self) -> str:
        return f":{self.name}"


class Symbol:
    """A name in code, and where it stands."""

    __slots__ = ("at", "name")

    def __init__(self, name: str, at: tuple[int, int] = (0, 0)) -> None:
        self.name = name
        self.at = at

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


class Char(str):
    """One character."""

    __slots__ = ()


class Regex:
    """``#"..."``: the pattern as Java spells it, compiled when it is first used."""

    __slots__ = ("source",)

    def __init__(self, source: str) -> None:
        self.source = source


class List(tuple[Any, ...]):
    """A list; as code, a call. ``at`` is its place, ``span`` its text in the source."""

    at: tuple[int, int] = (0, 0)
    span: tuple[int, int] = (0, 0)


class Vector(tuple[Any, ...]):
    """``[...]``"""

    at: tuple[int, int] = (0, 0)


class Map(dict[Any, Any]):
    """``{...}``, never changed once made; keeps its order."""

    at: tuple[int, int] = (0, 0)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


class Set(frozenset[Any]):
    """``#{...}``"""


class Tagged:
    """``#tag form`` that the reader does not know."""

    __slots__ = ("form", "tag")

    def __init__(self, tag: str, form: Any) -> None:
        self.tag = tag
        self.form = form


class Lazy:
    """A sequence made as it is read, each part once."""

    __slots__ = ("_made", "_source")

    def __init__(self, source: Iterator[Any]) -> None:
        self._source: Iterator[Any] | None = source
        self._made: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        at = 0
        while at < len(self._made) or self._advance():
            yield self._made[at]
            at += 1

    def _advance(self) -> bool:
        if self._source is None:
            return False
        try:
            self._made.append(next(self._source))
        except StopIteration:
            self._source = None
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lazy | List | Vector) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


Function = Callable[..., Any]

# what Python raises when something is used as what it is not
MISUSES: Final = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError)


def is_sequential(value: Any) -> bool:
    return isinstance(value, List | Vector | Lazy)


def equal(one: Any, other: Any) -> bool:
    """``=``: 1 is neither true nor 1.0; a list is equal to a vector of the same."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) != isinstance(other, float):
        return False
    if is_sequential(one) and is_sequential(other):
        first, second = tuple(one), tuple(other)
        return len(first) == len(second) and all(map(equal, first, second))
    if isinstance(one, Map) and isinstance(other, Map):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, Char) != isinstance(other, Char):
        return False
    return bool(one == other)


def call(function: Any, *args: Any) -> Any:
    """Call what may stand first in a list: functions, keywords, maps, sets, vectors."""
    if isinstance(function, Keyword | Symbol):
        return get(args[0], function, *args[1:2])
    if isinstance(function, Map | Set):
        return get(function, *args[:2])
    if isinstance(function, Vector):
        return nth_of(function, *args)
    if not callable(function):
        raise ClojureError(f"{type_name(function)} cannot be called")
    try:
        return function(*args)
    except MISUSES as error:
        raise ClojureError(explain(error)) from error


def nth_of(vector: Vector, number: Any = None) -> Any:
    """A vector that is called. Errors: ClojureError."""
    if not isinstance(number, int) or not 0 <= number < len(vector):
        raise ClojureError(f"a vector has no item {number!r}")
    return vector[number]


def explain(error: Exception) -> str:
    """What Python said, for people who write Clojure."""
    if isinstance(error, ZeroDivisionError):
        return "Divide by zero"
    if isinstance(error, KeyError):
        return f"no {error.args[0]!r}"
    text = str(error)
    for python, clojure in (("NoneType", "nil"), ("object is not iterable", "is no collection")):
        text = text.replace(python, clojure)
    return text


def get(collection: Any, key: Any, default: Any = None) -> Any:
    """``get``: never fails."""
    if isinstance(collection, Map):
        return collection.get(key, default)
    if isinstance(collection, Set):
        return key if key in collection else default
    if isinstance(collection, Vector | str) and isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key < len(collection):
            return default
        return Char(collection[key]) if isinstance(collection, str) else collection[key]
    return default


def type_name(value: Any) -> str:
    """What a person calls it."""
    names = {
        type(None): "nil",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a text",
        Lazy: "a sequence",
    }
    kind = type(value)
    return names.get(kind, f"a {kind.__name__.lower()}")


def items(value: Any) -> Any:
    """What may be walked: nil is empty, a text is its characters, a map its entries. Errors: ClojureError."""
    if value is None:
        return ()
    if isinstance(value, str):
        return map(Char, value)
    if isinstance(value, Map):
        return (Vector(entry) for entry in value.items())
    if isinstance(value, List | Vector | Set | Lazy):
        return value
    raise ClojureError(f"{type_name(value)} is no collection")
