"""EDN: keywords become text, code stays code.

A list is Clojure code: it is kept as text, ``#pt-clj (...)``. A symbol is text. ``#pt-param x`` and its like, written
as tags, are the references that they spell.
"""

from __future__ import annotations

import re
from typing import Any

from warpforge.polytope.code.clojure.data import (
    Char,
    Keyword,
    List,
    Map,
    Regex,
    Set,
    Symbol,
    SyntaxFault,
    Tagged,
    Vector,
)
from warpforge.polytope.code.clojure.reader import Reader
from warpforge.polytope.nouns import Value, Way
from warpforge.polytope.text.document import Document, Parts, fail


def read_edn(text: str, name: str) -> Document:
    """One form; an empty text is null. Errors: ``serialization``."""
    reader = Reader(text)
    try:
        forms = reader.all()
    except SyntaxFault as fault:
        fail(name, fault.message, *fault.at)
    if len(forms) > 1:
        fail(name, "more than one form: a file holds one map", 1, 1)
    return _Plain(reader, name).document(forms[0] if forms else None)


class _Plain:
    def __init__(self, reader: Reader, name: str) -> None:
        self._reader = reader
        self._name = name
        self._parts = Parts(name)
        self._places: dict[Way, tuple[int, int]] = {}

    def document(self, form: Any) -> Document:
        return Document(self._name, self._value(form, ()), self._places)

    def _value(self, form: Any, way: Way) -> Value:
        at = getattr(form, "at", None)
        if at and at != (0, 0):
            self._places[way] = at
        self._parts.enter(len(way), *(at or (1, 1)))
        if isinstance(form, Keyword | Symbol):
            return form.name
        if isinstance(form, List):
            return "#pt-clj " + self._reader.text[slice(*form.span)]
        if isinstance(form, Vector | Set):
            return [self._value(item, (*way, number)) for number, item in enumerate(form)]
        if isinstance(form, Map):
            return self._map(form, way)
        if isinstance(form, Tagged):
            return self._tagged(form, way)
        if isinstance(form, Regex):
            return form.source
        if isinstance(form, Char):
            return str(form)
        plain: Value = form
        return plain

    def _map(self, form: Map, way: Way) -> dict[str, Value]:
        made: dict[str, Value] = {}
        for key, value in form.items():
            name = key.name if isinstance(key, Keyword | Symbol) else str(key)
            made[name] = self._value(value, (*way, name))
        return made

    def _tagged(self, form: Tagged, way: Way) -> Value:
        if re.fullmatch(r"pt[-./][a-z]+", form.tag):
            inner = self._value(form.form, way)
            words = inner if isinstance(inner, list) else [inner]
            text = " ".join(str(word).removeprefix("#pt-clj ") for word in words)
            return f"#pt-{form.tag[3:]} {text}"
        return self._value(form.form, way)
