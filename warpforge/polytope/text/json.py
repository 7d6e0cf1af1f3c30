"""JSON, strictly, with the place of every value."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from warpforge.polytope.nouns import Value, Way
from warpforge.polytope.text.document import Document, Parts, fail, line_column

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_ATOM: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")


def read_json(text: str, name: str) -> Document:
    """Errors: ``serialization``."""
    return _Reader(text, name).document()


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._at = 0
        self._parts = Parts(name)
        self._places: dict[Way, tuple[int, int]] = {}
        self._line, self._line_start, self._seen = 1, 0, 0

    def document(self) -> Document:
        value = self._value(())
        self._skip()
        if self._at < len(self._text):
            self._fail("something follows the document")
        return Document(self._name, value, self._places)

    def _value(self, way: Way) -> Value:
        self._skip()
        here = self._position()
        self._parts.enter(len(way), *here)
        self._places.setdefault(way, here)
        first = self._text[self._at : self._at + 1]
        if first == "{":
            return self._object(way)
        if first == "[":
            return self._array(way)
        if first == '"':
            return self._string()
        match = _ATOM.match(self._text, self._at)
        if not match or len(match[0]) > 4000:
            self._fail("expected a value" if first else "the text ends too early")
        self._at = match.end()
        value: Value = json.loads(match[0])
        return value

    def _object(self, way: Way) -> dict[str, Value]:
        members: dict[str, Value] = {}
        while self._more("}", first=not members):
            here = self._position()
            if self._text[self._at : self._at + 1] != '"':
                self._fail("expected a key in double quotes")
            key = self._string()
            if key in members:
                fail(self._name, f"the key {key!r} is there twice", *here)
            self._skip()
            if self._text[self._at : self._at + 1] != ":":
                self._fail("expected ':'")
            self._at += 1
            self._places[(*way, key)] = here
            members[key] = self._value((*way, key))
        return members

    def _array(self, way: Way) -> list[Value]:
        items: list[Value] = []
        while self._more("]", first=not items):
            items.append(self._value((*way, len(items))))
        return items

    def _more(self, close: str, *, first: bool) -> bool:
        if first:
            self._at += 1
        self._skip()
        char = self._text[self._at : self._at + 1]
        if char == close:
            self._at += 1
            return False
        if not first:
            if char != ",":
                self._fail(f"expected ',' or '{close}'" if char else "the text ends too early")
            self._at += 1
            self._skip()
        return True

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if not match:
            self._fail("the text here is never closed, or holds a line break")
        try:
            value = json.loads(match[0])
        except json.JSONDecodeError as error:
            fail(self._name, error.msg, *line_column(self._text, self._at + error.pos))
        self._at = match.end()
        return str(value)

    def _skip(self) -> None:
        match = _BLANKS.match(self._text, self._at)
        assert match
        self._at = match.end()

    def _position(self) -> tuple[int, int]:
        self._line += self._text.count("\n", self._seen, self._at)
        self._line_start = self._text.rfind("\n", 0, self._at) + 1
        self._seen = self._at
        return self._line, self._at - self._line_start + 1

    def _fail(self, message: str) -> NoReturn:
        fail(self._name, message, *line_column(self._text, self._at))
