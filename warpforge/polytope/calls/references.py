"""What stands for values in text: references, interpolation and code. Recognised here, evaluated by a Resolver."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from warpforge.polytope.code.evaluator import Code
from warpforge.polytope.nouns import NOWHERE, Place, PolytopeFile, Value, Way

_KINDS: Final = r"(param|input|value|secret|output)s?"
_WHOLE: Final = re.compile(rf"\s*(?:#pt-|pt\.){_KINDS}\s+([^\s{{}}]+)(?:\s+([^\s{{}}]+))?\s*")
_WITHIN: Final = re.compile(rf"\{{\s*(?:#pt-|pt\.){_KINDS}\s+([^\s{{}}]+)(?:\s+([^\s{{}}]+))?\s*\}}")
_CODE: Final = re.compile(r"\s*(?:#pt-|pt\.)(js|clj|py)(?=[\s(])(.*)", re.DOTALL)
_OUTPUT_IN_CODE: Final = re.compile(r"""pt[./]output\s*\(?\s*["']([^"']+)["']""")


class Reference(NamedTuple):
    """``kind``: param, value, secret or output; ``key`` only of an output."""

    kind: str
    name: str
    key: str = ""


def parse_reference(text: str) -> Reference | None:
    """A text that is nothing but a reference."""
    match = _WHOLE.fullmatch(text)
    return _reference(match) if match else None


def _reference(match: re.Match[str]) -> Reference | None:
    kind = "param" if match[1] == "input" else match[1]
    if match[3] and kind != "output":
        return None
    return Reference(kind, match[2], match[3] or "")


def split_text(text: str) -> list[str | Reference]:
    """Text and the references within it, in turn."""
    parts: list[str | Reference] = []
    at = 0
    for match in _WITHIN.finditer(text):
        reference = _reference(match)
        if reference:
            parts += [text[at : match.start()], reference]
            at = match.end()
    return [*parts, text[at:]]


def parse_code(text: str, place: Place = NOWHERE, first_line: int = 0) -> Code | None:
    """Text that begins with pt.js, pt.clj, #pt-js ... . ``first_line``: of its file, if it stands there as it is."""
    match = _CODE.fullmatch(text)
    if not match:
        return None
    before = text[: len(text) - len(match[2].lstrip())].count("\n")
    return Code(match[1], match[2].strip(), place, first_line + before if first_line else 0)


def code_at(text: str, file: PolytopeFile, way: Way, place: Place = NOWHERE) -> Code:
    """The code of a module or a step; without a prefix it is Clojure. ``place``: when ``way`` is not known."""
    place = file.places.find(way) if way else place
    line = file.places.first_line(way)
    return parse_code(text, place, line) or Code("clj", text.strip(), place)


def spell_within(value: Value) -> str:
    """A value as a part of a text: null is empty, lists and maps are JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def texts(value: Value) -> Iterator[str]:
    """Every text of a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def outputs_named(value: Value) -> set[str]:
    """The steps whose outputs a value refers to, in references and code."""
    found: set[str] = set()
    for text in texts(value):
        if "output" not in text:
            continue
        whole = parse_reference(text)
        parts = [whole] if whole else split_text(text)
        found |= {part.name for part in parts if isinstance(part, Reference) and part.kind == "output"}
        if parse_code(text):
            found |= set(_OUTPUT_IN_CODE.findall(text))
    return found
