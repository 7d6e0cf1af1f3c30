"""Java's regular expressions, as Python's: what is spelled otherwise is spelled anew."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from warpforge.polytope.code.clojure.data import ClojureError, Function, Regex, Vector
from warpforge.polytope.code.clojure.printing import show

_CLASSES: Final = {
    "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9", "Upper": "A-Z", "Lower": "a-z", "L": r"^\W\d_",
    "Punct": r"!-/:-@\[-`{-~", "Space": r"\s", "XDigit": "0-9a-fA-F", "Blank": r" \t", "Lu": "A-Z", "Ll": "a-z",
}  # fmt: skip
_PIECE: Final = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|$)|\\(?P<letter>[pP])\{(?:Is|java)?(?P<name>\w+)\}|\\(?P<zed>[zZhR])"
    r"|\\x\{(?P<hex>[0-9a-fA-F]+)\}|(?P<escape>\\.)|(?P<group>\(\?<(?=[a-zA-Z]))|(?P<bracket>[\[\]])",
    re.DOTALL,
)
_PLAIN_ESCAPES: Final = {"z": r"\Z", "Z": r"(?=\n?\Z)", "h": r"[ \t]", "R": r"(?:\r\n|[\n\r])"}


@lru_cache(256)
def _compile(source: str) -> re.Pattern[str]:
    try:
        return re.compile(translate(source))
    except (re.error, RecursionError, OverflowError) as error:
        raise ClojureError(f"the pattern {source!r} is wrong: {error}") from error


def pattern(value: Any) -> re.Pattern[str]:
    """Errors: ClojureError."""
    if not isinstance(value, Regex):
        raise ClojureError('a pattern was expected, as #"..."')
    return _compile(value.source)


def translate(source: str) -> str:
    """A pattern of Java, as Python spells it."""
    depth = 0

    def piece(match: re.Match[str]) -> str:
        nonlocal depth
        if match["quoted"] is not None:
            return re.escape(match["quoted"])
        if match["letter"]:
            return _class(match["letter"], match["name"], inside=depth > 0)
        if match["zed"]:
            return _PLAIN_ESCAPES[match["zed"]]
        if match["hex"]:
            return re.escape(chr(int(match["hex"], 16)))
        if match["group"]:
            return "(?P<"
        if match["bracket"]:
            depth = max(0, depth + (1 if match["bracket"] == "[" else -1))
            return r"\[" if match["bracket"] == "[" and depth > 1 else match["bracket"]
        return match["escape"]

    text = _PIECE.sub(piece, source)
    return re.sub(r"\\k<(\w+)>", r"(?P=\1)", text)


def _class(letter: str, name: str, *, inside: bool) -> str:
    members = _CLASSES.get(name)
    if members is None:
        raise ClojureError(f"the class \\{letter}{{{name}}} is not known here")
    if members.startswith("^"):
        members, letter = members[1:], "P" if letter == "p" else "p"
    if inside:
        if letter == "P":
            raise ClojureError(f"\\{letter}{{{name}}} cannot stand inside of [ ] here")
        return members
    return f"[{'^' if letter == 'P' else ''}{members}]"


def found(match: re.Match[str] | None) -> Any:
    """What re-find gives: nil, the text, or a vector of the text and its groups."""
    if match is None:
        return None
    return Vector((match[0], *match.groups())) if match.re.groups else match[0]


def expand(template: str, match: re.Match[str]) -> str:
    """A replacement text: $1, ${name}, and \\ before what stands for itself."""

    def piece(part: re.Match[str]) -> str:
        if part[1]:
            return str(part[1])
        name = part[2] or part[3]
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except (IndexError, KeyError) as error:
            raise ClojureError(f"there is no group {name}") from error

    return re.sub(r"\\(.)|\$(\d)|\$\{(\w+)\}", piece, template, flags=re.DOTALL)


def replace(text: str, what: Any, by: Any, *, first: bool, call: Function) -> str:
    """``clojure.string/replace``: of a text by a text, or of a pattern by a template or a function."""
    count = 1 if first else 0
    if isinstance(what, Regex):
        if isinstance(by, str):
            return pattern(what).sub(lambda match: expand(by, match), text, count)
        return pattern(what).sub(lambda match: show(call(by, found(match))), text, count)
    return text.replace(str(what), str(by), 1 if first else -1)
