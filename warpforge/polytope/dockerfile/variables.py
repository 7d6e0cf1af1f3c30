"""Variables in a Dockerfile: ``$X``, ``${X}``, and the forms that give another value or a part of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from warpforge.polytope.dockerfile.lines import refuse

_VARIABLE: Final = re.compile(
    r"\\(.)|\$(?:(\w+)|\{(\w+)(?:(:?[-+?]|##?|%%?|//?)((?:[^{}\\]|\\.|\{(?:[^{}\\]|\\.)*\})*))?\})", re.DOTALL
)
_SLASH: Final = re.compile(r"(?<!\\)/")


def fill(text: str, variables: Mapping[str, str], name: str, line: int) -> str:
    """The text with its variables filled in: ``${X:-default}``, ``${X:+other}``, ``${X:?message}`` (without the colon
    an empty value is one, too), ``${X#prefix}``, ``${X%suffix}`` and ``${X/pattern/other}`` as shells have them.

    What stands in single quotes stays as it is. Errors: ``serialization`` for ``?`` without a value.
    """

    def one(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1] if match[1] == "$" else match[0]
        key, how = match[2] or match[3], match[4] or ""
        value = variables.get(key)
        if not how:
            return value or ""
        word = fill(match[5], variables, name, line)
        if how[-1] not in "-+?":
            return _cut(value or "", how, word)
        is_there = bool(value) if how.startswith(":") else value is not None
        if how[-1] == "+":
            return word if is_there else ""
        if not is_there and how[-1] == "?":
            raise refuse(name, line, f"{key}: {word or 'it has no value'}")
        return value or "" if is_there else word

    parts = re.split(r"('[^']*')", text)
    return "".join(part if number % 2 else _VARIABLE.sub(one, part) for number, part in enumerate(parts))


def _cut(value: str, how: str, word: str) -> str:
    """``#`` and ``%`` take the shortest prefix or suffix away that fits, doubled the longest; ``/`` replaces."""
    if how[0] == "/":
        pattern, _, other = _SLASH.sub("\0", word, count=1).partition("\0")
        return re.sub(_translate(pattern), lambda _: other, value, count=0 if how == "//" else 1) if pattern else value
    ends = range(len(value) + 1) if how in ("#", "%%") else range(len(value), -1, -1)
    fits = re.compile(_translate(word), re.DOTALL).fullmatch
    for end in ends:
        if how[0] == "#" and fits(value[:end]):
            return value[end:]
        if how[0] == "%" and fits(value[end:]):
            return value[:end]
    return value


def _translate(pattern: str) -> str:
    """``*`` and ``?`` of a shell as a regular expression; a backslash takes their meaning away."""
    out: list[str] = []
    letters = iter(pattern)
    for letter in letters:
        if letter == "\\":
            out.append(re.escape(next(letters, "")))
        else:
            out.append({"*": ".*", "?": "."}.get(letter, re.escape(letter)))
    return "".join(out)
