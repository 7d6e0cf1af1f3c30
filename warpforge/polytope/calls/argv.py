"""What is to be run, as it is said on the command line -> calls, in groups that follow one another.

stack                                     one module or template
'polytope/postgres{port: 5433}' api       two, side by side; arguments are a YAML flow map, or an EDN map
build, run-built                          one after the other
!sub                                      a module of the file that one stands in
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from warpforge.errors import Invalid
from warpforge.polytope.calls.expand import Call
from warpforge.polytope.nouns import Value

_REFERENCE: Final = re.compile(r"[^\s,{}'\"]+")
_OPENING: Final = "{[,: "
_CLOSING: Final = {"{": "}", "[": "]"}


def parse_calls(words: Sequence[str]) -> list[list[Call]]:
    """Groups of calls. Braces that the shell took apart are put together again. Errors: ``invalid-argument``."""
    text = " ".join(words)
    groups: list[list[Call]] = [[]]
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == ",":
            if not groups[-1]:
                raise _wrong(text, at, "nothing stands before the comma")
            groups.append([])
            at += 1
        else:
            call, at = _parse_call(text, at)
            groups[-1].append(call)
    if not groups[-1] and len(groups) > 1:
        raise _wrong(text, len(text), "nothing stands behind the comma")
    return [group for group in groups if group]


def _parse_call(text: str, at: int) -> tuple[Call, int]:
    match = _REFERENCE.match(text, at)
    if not match:
        raise _wrong(text, at, "the name of a module or a template was expected")
    at = match.end()
    if text[at : at + 1] != "{":
        return Call(reference=match[0]), at
    end = _end_of_map(text, at)
    return Call(reference=match[0], args=_read_map(text[at:end], match[0])), end


def _end_of_map(text: str, start: int) -> int:
    """Behind the brace that closes the one at ``start``. A quote counts only where a value can begin."""
    expected: list[str] = []
    at, before = start, "{"
    while at < len(text):
        char = text[at]
        if char in "'\"" and before in _OPENING:
            at = _end_of_quote(text, at)
            before = char
            continue
        if char in _CLOSING:
            expected.append(_CLOSING[char])
        elif char in "}]":
            if char != expected.pop():
                raise _wrong(text, at, f"a {char} that closes nothing")
            if not expected:
                return at + 1
        before = char
        at += 1
    raise _wrong(text, start, "the { is never closed")


def _end_of_quote(text: str, start: int) -> int:
    quote, at = text[start], start + 1
    while at < len(text):
        if text[at] == "\\" and quote == '"':
            at += 1
        elif text[at] == quote:
            if quote == "'" and text[at + 1 : at + 2] == "'":
                at += 1
            else:
                return at + 1
        at += 1
    raise _wrong(text, start, f"the {quote} is never closed")


def _read_map(text: str, reference: str) -> dict[str, Value]:
    name = f"the arguments of {reference}"
    try:
        if re.match(r"\{\s*:[a-z]", text):
            from warpforge.polytope.text.edn import read_edn

            value = read_edn(text, name).value
        else:
            from warpforge.polytope.text.yaml import read_yaml

            value = read_yaml(text, name).value
    except Invalid as error:
        raise Invalid("invalid-argument", error.message, reason="parse") from error
    if not isinstance(value, dict):
        raise Invalid("invalid-argument", f"{name}: a map was expected, as {{port: 5433}}", reason="parse")
    return value


def _wrong(text: str, at: int, message: str) -> Invalid:
    shown = text[max(0, at - 20) : at + 20]
    return Invalid("invalid-argument", f"{message}: ...{shown}... (at {at + 1})", reason="parse")
