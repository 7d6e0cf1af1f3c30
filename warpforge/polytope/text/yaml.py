"""YAML 1.2 (core schema, merge keys) by ruamel.yaml's events: own composing, so that bounds and places are ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from warpforge.polytope.nouns import Value, Way
from warpforge.polytope.text.document import Document, Parts, fail

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]{1,4000}|0o[0-7]{1,4000}|0x[0-9a-fA-F]{1,4000}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TAGS: Final = {
    f"tag:yaml.org,2002:{name}": name for name in ("null", "bool", "int", "float", "str", "map", "seq", "merge")
}


def read_yaml(text: str, name: str) -> Document:
    """One document; an empty text is null. Errors: ``serialization``."""
    try:
        return _Composer(text, name).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(filter(None, (error.context, error.problem))) or "not YAML"
        if "block end" in message or "block collection" in message:
            message += " (is the indentation right?)"
        if "'\\t'" in message:
            message = "a tab stands where YAML takes only spaces: indent with spaces"
        fail(name, message, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)
    except YAMLError as error:
        fail(name, str(error).splitlines()[0], 1, 1)


class _Composer:
    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(text))
        self._parts = Parts(name)
        self._places: dict[Way, tuple[int, int]] = {}
        self._blocks: dict[Way, int] = {}
        self._anchors: dict[str, tuple[Value, Way]] = {}

    def document(self) -> Document:
        value: Value = None
        seen = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                seen += 1
                if seen > 1:
                    fail(self._name, "a second document: one file has one", *_at(event))
                value = self._value(next(self._events), ())
            elif isinstance(event, StreamEndEvent):
                break
        return Document(self._name, value, self._places, self._blocks)

    def _value(self, event: Any, way: Way) -> Value:
        self._parts.enter(len(way), *_at(event))
        self._places.setdefault(way, _at(event))
        if isinstance(event, AliasEvent):
            return self._alias(event, way)
        if event.anchor:
            self._anchors.pop(event.anchor, None)  # what is still being read cannot hold itself
        value: Value
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
            if event.style == "|":
                self._blocks[way] = event.start_mark.line + 2
        elif isinstance(event, SequenceStartEvent):
            value = self._list(event, way)
        else:
            value = self._map(event, way)
        if event.anchor:
            self._anchors[event.anchor] = (value, way)
        return value

    def _alias(self, event: Any, way: Way) -> Value:
        if event.anchor not in self._anchors:
            fail(self._name, f"*{event.anchor} stands for nothing written before it", *_at(event))
        value, _ = self._anchors[event.anchor]
        return self._copy(value, len(way), _at(event))

    def _copy(self, value: Value, depth: int, at: tuple[int, int]) -> Value:
        self._parts.enter(depth, *at)
        if isinstance(value, list):
            return [self._copy(item, depth + 1, at) for item in value]
        if isinstance(value, dict):
            return {key: self._copy(item, depth + 1, at) for key, item in value.items()}
        return value

    def _list(self, event: Any, way: Way) -> list[Value]:
        self._known_tag(event, "seq")
        items: list[Value] = []
        while not isinstance(inner := next(self._events), SequenceEndEvent):
            items.append(self._value(inner, (*way, len(items))))
        return items

    def _map(self, event: Any, way: Way) -> dict[str, Value]:
        self._known_tag(event, "map")
        members: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        while not isinstance(inner := next(self._events), MappingEndEvent):
            if not isinstance(inner, ScalarEvent):
                fail(self._name, "a key must be plain text", *_at(inner))
            key = str(inner.value)
            if key == "<<" and inner.style is None:
                self._merge(merged, self._value(next(self._events), (*way, key)), inner)
                continue
            if key in members:
                fail(self._name, f"the key {key!r} is there twice", *_at(inner))
            self._places[(*way, key)] = _at(inner)
            members[key] = self._value(next(self._events), (*way, key))
        return {**merged, **members} if merged else members

    def _merge(self, merged: dict[str, Value], value: Value, event: Any) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                fail(self._name, "<< takes a map, or a list of maps", *_at(event))
            for key, inner in source.items():
                merged.setdefault(key, inner)

    def _known_tag(self, event: Any, kind: str) -> None:
        if event.tag and _TAGS.get(str(event.tag)) != kind:
            fail(self._name, f"the tag {event.tag} is not known here", *_at(event))

    def _scalar(self, event: Any) -> Value:
        text = str(event.value)
        tag = str(event.tag) if event.tag else ""
        if tag == "!":
            return text
        if tag and tag not in _TAGS:
            hint = ": to begin a text with ! quote it" if tag.startswith("!") else ""
            fail(self._name, f"the tag {tag} is not known here{hint}", *_at(event))
        if _TAGS.get(tag) == "str" or (not tag and event.style is not None):
            return text
        return resolve_scalar(text)


def resolve_scalar(text: str) -> bool | int | float | str | None:
    """A plain scalar of the core schema."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NO_NUMBER.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _at(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
