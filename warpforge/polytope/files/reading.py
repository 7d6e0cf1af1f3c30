"""What every reader of a part of a polytope file shares: plain access that notes what is wrong, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from warpforge.polytope.issues import SCAFFOLD, Issue, Level
from warpforge.polytope.nouns import Value, Way
from warpforge.polytope.text.document import Document

ID: Final = re.compile(r"[a-z0-9_-]+")
REFERENCE: Final = re.compile(r"[^\s!{}]+(?:![^\s!{}]+)?|![^\s!{}]+")

Members = dict[str, Value]


class Reading:
    """One document being read; ``_issues`` grows."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._issues: list[Issue] = []

    def _say(self, way: Way, message: str, level: Level = "error") -> None:
        self._issues.append(Issue(self._document.place(way), message, level=level))

    def _unknown(self, members: Members, known: frozenset[str], way: Way) -> None:
        for key in members:
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f": did you mean {near[0]}?" if near else ""
                self._say((*way, key), f"the key {key!r} is not known here{hint}", "warning")

    def _text(self, members: Members, key: str, way: Way) -> str:
        value = members.get(key)
        if isinstance(value, dict | list):
            self._say((*way, key), f"{key} is a text")
            return ""
        return "" if value is None else spell_scalar(value)

    def _map(self, value: Value, way: Way, what: str) -> Members:
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self._say(way, f"{what}: a map was expected")
        return {}

    def _list(self, value: Value, way: Way, what: str) -> list[Value]:
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self._say(way, f"{what}: a list was expected")
        return []

    def _flag(self, members: Members, key: str, way: Way) -> bool:
        value = members.get(key)
        if value is not None and not isinstance(value, bool):
            self._say((*way, key), f"{key} is true or false")
        return value is True

    def _names(self, value: Value, way: Way) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [] if value is None else [value]
        return tuple(spell_scalar(step_of(item)) for item in values)

    def _specs(self, file: Members, key: str) -> Iterator[tuple[Members, Way, str]]:
        """Specs, their ways and ids, of a list or of a map by id."""
        value = file.get(key)
        if isinstance(value, dict):
            for name, spec in value.items():
                yield self._map(spec, (key, name), name), (key, name), self._id(name, (key, name))
            return
        for number, spec in enumerate(self._list(value, (key,), key)):
            way = (key, number)
            members = self._map(spec, way, f"{key}[{number}]")
            name = self._text(members, "id" if "id" in members else "name", way)
            if not name:
                self._say(way, "id is missing")
            else:
                yield members, way, self._id(name, way)

    def _id(self, name: str, way: Way) -> str:
        if not ID.fullmatch(name):
            if "{{" in name or "{=" in name:
                self._issues.append(Issue(self._document.place(way), f"the id {name!r} is a placeholder", SCAFFOLD))
            else:
                self._say(way, f"the id {name!r} is not made of a-z, 0-9, _ and -", "warning")
        return name

    def _reference(self, spec: Members, key: str, way: Way) -> str:
        text = self._text(spec, key, way)
        if text and not REFERENCE.fullmatch(text):
            self._say((*way, key), f"{text!r} is no reference to a module")
        return text


def spell_scalar(value: Value) -> str:
    """As it would be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def step_of(value: Value) -> Value:
    """``{step: x}``, or ``x``."""
    return value.get("step", value.get("after")) if isinstance(value, dict) else value
