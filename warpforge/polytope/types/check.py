"""A value held against a type: the value as it is meant, and everything that is wrong with it.

Within an ``either`` the first option that fits as it stands is taken, else the first that fits after conversions;
defaults inside of the option are not filled in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from warpforge.polytope.code.clojure.data import ClojureError
from warpforge.polytope.code.clojure.regex import translate
from warpforge.polytope.code.host import kebab
from warpforge.polytope.issues import Level
from warpforge.polytope.marks import Unknown
from warpforge.polytope.nouns import Value, Way
from warpforge.polytope.types.basic import BASICS, Wrong, kind_of
from warpforge.polytope.types.language import (
    Basic,
    Default,
    Either,
    Enum,
    Fields,
    Free,
    Items,
    Maybe,
    Type,
    parse_type,
    spell_type,
    spell_value,
)


class Finding(NamedTuple):
    """``way``: from the value's root; spelled, it follows the parameter's name."""

    way: Way
    message: str
    level: Level = "error"

    def spell(self, name: str) -> str:
        """What is so of the parameter: ``port: a whole number was expected, not 'x'``, ``port is required: int``."""
        where = spell_way(name, self.way)
        return f"{where} {self.message}" if self.message.startswith("is ") else f"{where}: {self.message}"


SHORT: Final = 100  # characters of a type in a message

Matches = Callable[[str, str], bool]


def _as_it_is(value: Value) -> Value:
    return value


def match_whole(pattern: str, text: str) -> bool:
    """Patterns are Java's. Errors: Wrong."""
    try:
        return re.fullmatch(translate(pattern), text) is not None
    except (re.error, ClojureError) as error:
        raise Wrong(f"the pattern {pattern!r} is wrong: {error}") from error


class Check:
    """Values being checked. ``fill`` makes a default that was written into a value."""

    def __init__(self, matches: Matches = match_whole, fill: Callable[[Value], Value] = _as_it_is) -> None:
        self.findings: list[Finding] = []
        self._matches = matches
        self._fill = fill
        self._is_exact = False
        self._fills = True

    def value(self, value: Value, kind: Type, way: Way = ()) -> Value:
        """The value as it is meant; ``findings`` grows."""
        if isinstance(value, Unknown):
            return value
        if isinstance(kind, Default):
            given = self._fill(kind.value) if value is None else value
            return None if given is None else self.value(given, kind.of, way)
        if isinstance(kind, Maybe):
            return None if value is None else self.value(value, kind.of, way)
        if value is None and kind != Basic("any") and not _takes_null(kind):
            self._say(way, f"is {'missing' if way else 'required'}: {_wanted(kind)}")
            return None
        if isinstance(kind, Basic):
            return self._basic(value, kind.name, way)
        if isinstance(kind, Items):
            return self._items(value, kind, way)
        if isinstance(kind, Fields):
            return self._fields(value, kind, way)
        if isinstance(kind, Free):
            return self._free(value, kind, way)
        if isinstance(kind, Either):
            return self._either(value, kind, way)
        if isinstance(kind, Enum):
            return self._enum(value, kind, way)
        text = self._basic(value, "str", way)
        if isinstance(text, str) and not self._attempt(way, lambda: self._matches(kind.pattern, text)):
            self._say(way, f"{kind_of(value)} does not match {kind.pattern}")
        return text

    def _say(self, way: Way, message: str, level: Level = "error") -> None:
        self.findings.append(Finding(way, message, level))

    def _attempt(self, way: Way, test: Callable[[], bool]) -> bool:
        try:
            return test()
        except Wrong as wrong:
            self._say(way, str(wrong))
            return True

    def _basic(self, value: Value, name: str, way: Way) -> Value:
        if name in _SHAPES:
            return (
                self.value(_SHORT[name](value), _SHAPES[name], way)
                if name != "mount-source"
                else self._mount(value, way)
            )
        try:
            return BASICS[name](value, is_exact=self._is_exact)
        except Wrong as wrong:
            self._say(way, str(wrong))
            return value

    def _mount(self, value: Value, way: Way) -> Value:
        if isinstance(value, str):  # short for a path of the host
            value = {"type": "host", "path": value}
        if not isinstance(value, dict):
            self._say(way, f"a source of a mount was expected, not {kind_of(value)}")
            return value
        kind = value.get("type")
        if isinstance(kind, Unknown):
            return value
        shape = _SOURCES.get(kind) if isinstance(kind, str) else None
        if shape is None:
            what = "is missing: one of" if kind is None else f"{kind_of(kind)} is none of"
            self._say((*way, "type"), f"{what} {', '.join(_SOURCES)}")
            return value
        return self.value(value, shape, way)

    def _items(self, value: Value, kind: Items, way: Way) -> Value:
        if not isinstance(value, list):
            self._say(way, f"a list was expected, not {kind_of(value)}")
            return value
        skips = not _takes_null(kind.of)
        return [
            self.value(item, kind.of, (*way, number))
            for number, item in enumerate(value)
            if not (item is None and skips)  # null entries are dropped
        ]

    def _fields(self, value: Value, kind: Fields, way: Way) -> Value:
        if not isinstance(value, dict):
            self._say(way, f"a map was expected, not {kind_of(value)}: {spell_type(kind)}")
            return value
        members = {self._key(key, kind, value): inner for key, inner in value.items()}
        made: dict[str, Value] = {}
        for key, inner in members.items():
            if key in kind.of:
                made[key] = self.value(inner, kind.of[key], (*way, key))
            else:
                made[key] = inner
                self._say((*way, key), "is not known here", "error" if self._is_exact else "warning")
        for key, wanted in kind.of.items():
            if key in members:
                continue
            if isinstance(wanted, Default):
                if self._fills:
                    made[key] = self.value(None, wanted, (*way, key))
            elif not isinstance(wanted, Maybe) and wanted != Basic("any"):
                self._say((*way, key), f"is missing: {_wanted(wanted)}")
        return made

    def _key(self, key: str, kind: Fields, value: dict[str, Value]) -> str:
        """JavaScript gives keys back in camelCase."""
        other = kebab(key)
        return other if key not in kind.of and other in kind.of and other not in value else key

    def _free(self, value: Value, kind: Free, way: Way) -> Value:
        if not isinstance(value, dict):
            self._say(way, f"a map was expected, not {kind_of(value)}")
            return value
        for key in value:
            self.value(key, kind.key, (*way, key))
        return {key: self.value(inner, kind.value, (*way, key)) for key, inner in value.items()}

    def _enum(self, value: Value, kind: Enum, way: Way) -> Value:
        for allowed in kind.values:
            if allowed == value and isinstance(allowed, bool) == isinstance(value, bool):
                return allowed
        if not self._is_exact and not isinstance(value, dict | list):
            for allowed in kind.values:
                if spell_value(allowed) == spell_value(value):
                    return allowed
        self._say(way, f"{kind_of(value)} is none of {', '.join(map(spell_value, kind.values))}")
        return value

    def _either(self, value: Value, kind: Either, way: Way) -> Value:
        for is_exact in (True, False) if not self._is_exact else (True,):
            for option in kind.options:
                made, findings = self._within(value, option, way, is_exact=is_exact)
                if not any(finding.level == "error" for finding in findings):
                    self.findings += findings
                    return made
        likely = [option for option in kind.options if _may_be(value, option)]
        if len(likely) == 1:
            _, findings = self._within(value, likely[0], way, is_exact=False)
            self.findings += findings
        else:
            self._say(way, f"{kind_of(value)} is none of {', '.join(map(spell_type, kind.options))}")
        return value

    def _within(self, value: Value, option: Type, way: Way, *, is_exact: bool) -> tuple[Value, list[Finding]]:
        inner = Check(self._matches)
        inner._is_exact, inner._fills = is_exact, False
        return inner.value(value, option, way), inner.findings


def _wanted(kind: Type) -> str:
    """What is expected, in few words."""
    spelled = spell_type(kind)
    if len(spelled) <= SHORT:
        return spelled
    if isinstance(kind, Items):
        return f"a list, each {_wanted(kind.of)}"
    return f"a map of {', '.join(kind.of)}" if isinstance(kind, Fields) else f"{spelled[:SHORT]}..."


def _takes_null(kind: Type) -> bool:
    if isinstance(kind, Either):
        return any(_takes_null(option) for option in kind.options)
    if isinstance(kind, Enum):
        return None in kind.values
    return isinstance(kind, Maybe | Default) or kind == Basic("any")


def _may_be(value: Value, kind: Type) -> bool:
    """Whether the value has the shape of the type."""
    if isinstance(kind, Maybe | Default):
        return _may_be(value, kind.of)
    if isinstance(value, dict):
        if isinstance(kind, Fields) and len(kind.of) == 1:  # one of a tagged union
            return next(iter(kind.of)) in value
        return isinstance(kind, Fields | Free) or (isinstance(kind, Basic) and kind.name in _SHAPES)
    if isinstance(value, list):
        return isinstance(kind, Items)
    return not isinstance(kind, Fields | Free | Items)


def _short_service(value: Value) -> Value:
    """``{id, port}`` and ports that are only numbers, as they are meant."""
    if not isinstance(value, dict):
        return value
    made = dict(value)
    if "ports" not in made and "port" in made:
        made["ports"] = [{key: made.pop(key) for key in ("port", "protocol", "label", "expose-as") if key in made}]
    if isinstance(made.get("ports"), list):
        made["ports"] = [
            {"port": port} if isinstance(port, int | str) and not isinstance(port, Unknown) else port
            for port in made["ports"]  # type: ignore[union-attr]
        ]
    return made


_SHORT: Final[dict[str, Callable[[Value], Value]]] = {
    "service-spec": _short_service,
    "env-var": _as_it_is,
    "mount-source": _as_it_is,
}

_SCALAR: Final[Value] = ["either", "str", "bool", "int", "num"]
_SHAPES: Final[dict[str, Type]] = {
    "env-var": parse_type({"name": "str", "value": ["maybe", _SCALAR]}),
    "service-spec": parse_type(
        {
            "id": "id",
            "ports": [
                {
                    "port": ["maybe", "int"],
                    "range": ["maybe", "str"],
                    "protocol": ["default", ["enum", "tcp", "udp", "http", "https"], "tcp"],
                    "label": ["maybe", "str"],
                    "expose-as": ["maybe", ["either", "int", "str"]],
                    "internal": ["maybe", "bool"],
                    "internal?": ["maybe", "bool"],
                }
            ],
            "info": ["maybe", "str"],
        }
    ),
    "mount-source": Basic("map"),
}
_SOURCES: Final[dict[str, Type]] = {
    "host": parse_type({"type": "str", "path": "str"}),
    "repo": parse_type(
        {"type": "str", "repo": ["maybe", "str"], "path": ["maybe", "str"], "revision": ["maybe", "str"]}
    ),
    "string": parse_type({"type": "str", "data": "str"}),
    "volume": parse_type(
        {
            "type": "str",
            "id": ["maybe", "id"],
            "scope": ["maybe", ["enum", "project", "job"]],
            "create": ["maybe", ["enum", "never", "when-missing", "always"]],
            "source": ["maybe", "mount-source"],
        }
    ),
    "dataset": parse_type({"type": "str", "dataset": "str", "path": ["maybe", "str"], "version": ["maybe", "int"]}),
}


def spell_way(name: str, way: Way) -> str:
    """``mounts[2].source.type``"""
    return name + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in way)
