"""Text -> forms, with the place of every list, vector, map and symbol."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final

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

DEPTH_LIMIT: Final = 100

_BLANKS: Final = re.compile(r"(?:[\s,]+|;[^\n]*|#![^\n]*)*")
_TOKEN: Final = re.compile(r"""[^\s,;"()\[\]{}\\^`~@]+""")
_INT: Final = re.compile(r"([-+]?)(?:(0[xX][0-9a-fA-F]{1,40})|(0[0-7]{1,40})|([0-9]{1,400}))[NL]?")
_FLOAT: Final = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?M?")
_CHARS: Final = {
    "newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f",
}  # fmt: skip
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "0": "\0"}
_WORDS: Final = {"nil": None, "true": True, "false": False}
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}

Place = tuple[int, int]


def read_forms(text: str) -> list[Any]:
    """All forms of a text. Errors: SyntaxFault."""
    return Reader(text).all()


class Reader:
    """One text. ``note(at)`` hears of every map member and item: EDN documents keep places so."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._at = 0
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._arguments: list[set[str]] = []  # of the #() around

    def all(self) -> list[Any]:
        forms: list[Any] = []
        while True:
            self._skip(0)
            if self._at >= len(self.text):
                return forms
            if self.text[self._at] in ")]}":
                fault = SyntaxFault(f"a {self.text[self._at]} that closes nothing", at=self.place(self._at))
                fault.is_stray = bool(forms) and not self.text[self._at :].strip(")]} \n\t,")
                fault.data = forms
                raise fault
            forms.append(self._form(0))

    def place(self, at: int) -> Place:
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def _fail(self, message: str, at: int | None = None) -> SyntaxFault:
        return SyntaxFault(message, at=self.place(self._at if at is None else at))

    def _skip(self, depth: int) -> None:
        while True:
            match = _BLANKS.match(self.text, self._at)
            assert match
            self._at = match.end()
            if not self.text.startswith("#_", self._at):
                return
            self._at += 2
            self._form(depth + 1)  # read, and dropped

    def _form(self, depth: int) -> Any:
        if depth > DEPTH_LIMIT:
            raise self._fail(f"nested more than {DEPTH_LIMIT} deep")
        self._skip(depth)
        start = self._at
        char = self.text[start : start + 1]
        if not char:
            raise self._fail("the text ends too early: something is not closed")
        if char in "([{":
            return self._collection(char, depth)
        if char in ")]}":
            raise self._fail(f"a {char} that closes nothing")
        if char == '"':
            return self._string()
        special = _SPECIAL.get(char)
        if special:
            self._at += 1
            return special(self, start, depth)
        return self._token(start)

    def _items(self, close: str, depth: int, opened: int) -> list[Any]:
        items: list[Any] = []
        while True:
            self._skip(depth)
            char = self.text[self._at : self._at + 1]
            if char == close:
                self._at += 1
                return items
            if not char:
                raise self._fail(f"the {self.text[opened]} here is never closed", opened)
            if char in ")]}":
                raise self._fail(f"a {char} where a {close} was expected")
            items.append(self._form(depth + 1))

    def _collection(self, char: str, depth: int) -> Any:
        start = self._at
        self._at += 1
        items = self._items(_CLOSING[char], depth, start)
        if char == "{":
            return self._map(items, start)
        made: Any = List(items) if char == "(" else Vector(items)
        made.at = self.place(start)
        if char == "(":
            made.span = (start, self._at)
        return made

    def _map(self, items: list[Any], start: int) -> Map:
        if len(items) % 2:
            raise self._fail("a map with a key and no value", start)
        made = Map()
        made.at = self.place(start)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if key in made:
                raise self._fail(f"the key {key!r} is there twice", start)
            made[key] = value
        return made

    def _string(self) -> str:
        start = self._at
        self._at += 1
        out: list[str] = []
        while True:
            end = self._at
            while end < len(self.text) and self.text[end] not in '"\\':
                end += 1
            out.append(self.text[self._at : end])
            if end >= len(self.text):
                raise self._fail("the text here is never closed", start)
            self._at = end + 1
            if self.text[end] == '"':
                return _whole("".join(out))
            out.append(self._escape())

    def _escape(self) -> str:
        char = self.text[self._at : self._at + 1]
        if char == "u":
            digits = self.text[self._at + 1 : self._at + 5]
            if not re.fullmatch("[0-9a-fA-F]{4}", digits):
                raise self._fail("\\u takes four hexadecimal digits")
            self._at += 5
            return chr(int(digits, 16))
        if char not in _ESCAPES:
            raise self._fail(f"\\{char} is no escape in a text")
        self._at += 1
        return _ESCAPES[char]

    def _token(self, start: int) -> Any:
        match = _TOKEN.match(self.text, start)
        if not match:
            raise self._fail(f"{self.text[start]!r} is not expected here")
        self._at = match.end()
        token = match[0]
        if token in _WORDS:
            return _WORDS[token]
        if token[0] == ":":
            name = token.lstrip(":")
            if not name:
                raise self._fail("a keyword without a name", start)
            return Keyword(name)
        if token[0].isdigit() or (token[0] in "+-" and token[1:2].isdigit()):
            return self._number(token, start)
        if token[0] == "%" and self._arguments:
            token = "%1" if token == "%" else token
            self._arguments[-1].add(token)
        return Symbol(token, self.place(start))

    def _number(self, token: str, start: int) -> int | float:
        if match := _INT.fullmatch(token):
            base = 16 if match[2] else 8 if match[3] else 10
            value = int(match[2] or match[3] or match[4], base)
            return -value if match[1] == "-" else value
        if _FLOAT.fullmatch(token):
            return float(token.rstrip("M"))
        if re.fullmatch(r"[-+]?[0-9]{1,100}/0*[1-9][0-9]{0,100}", token):
            over, under = token.split("/")
            return int(over) / int(under)
        raise self._fail(f"{token} is no number", start)

    def _quote(self, start: int, depth: int) -> Any:
        return self._call("quote", start, self._form(depth + 1))

    def _deref(self, start: int, depth: int) -> Any:
        return self._call("deref", start, self._form(depth + 1))

    def _call(self, name: str, start: int, form: Any) -> List:
        made = List((Symbol(name, self.place(start)), form))
        made.at = self.place(start)
        made.span = (start, self._at)
        return made

    def _char(self, start: int, depth: int) -> Any:
        match = re.compile(r"u[0-9a-fA-F]{4}|[a-z]+(?![A-Za-z0-9])|.", re.DOTALL).match(self.text, self._at)
        if not match:
            raise self._fail("a \\ without a character", start)
        name = match[0]
        if len(name) == 5 and name[0] == "u":
            value = chr(int(name[1:], 16))
        elif len(name) > 1:
            if name not in _CHARS:
                raise self._fail(f"\\{name} is no character", start)
            value = _CHARS[name]
        else:
            value = name
        self._at = match.end()
        return Char(value)

    def _meta(self, start: int, depth: int) -> Any:
        self._form(depth + 1)  # hints for a compiler mean nothing here
        return self._form(depth + 1)

    def _no_macro(self, start: int, depth: int) -> Any:
        raise self._fail(f"{self.text[start]} belongs to macros, which cannot be written here", start)

    def _dispatch(self, start: int, depth: int) -> Any:
        char = self.text[self._at : self._at + 1]
        if char == "{":
            self._at += 1
            return Set(self._items("}", depth, self._at - 1))
        if char == '"':
            return self._regex()
        if char == "(":
            return self._short_function(start, depth)
        if char == "'":
            self._at += 1
            return self._form(depth + 1)
        if char == "^":
            self._at += 1
            return self._meta(start, depth)
        match = _TOKEN.match(self.text, self._at)
        if not match:
            raise self._fail(f"#{char} is not known here", start)
        self._at = match.end()
        if match[0] == "#Inf":
            return float("inf")
        if match[0] == "#NaN":
            return float("nan")
        return Tagged(match[0], self._form(depth + 1))

    def _regex(self) -> Regex:
        start = self._at
        match = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL).match(self.text, start)
        if not match:
            raise self._fail("the pattern here is never closed", start)
        self._at = match.end()
        return Regex(match[1])

    def _short_function(self, start: int, depth: int) -> Any:
        self._arguments.append(set())
        body = self._collection("(", depth)
        used = self._arguments.pop()
        count = max((int(name[1:]) for name in used if name[1:].isdigit()), default=0)
        names = [Symbol(f"%{number}") for number in range(1, min(count, 20) + 1)]
        if "%&" in used:
            names += [Symbol("&"), Symbol("%&")]
        made = List((Symbol("fn", self.place(start)), Vector(names), body))
        made.at = self.place(start)
        made.span = (start, self._at)
        return made


def _whole(text: str) -> str:
    """Two halves of a character, as Java's escapes spell it, are one."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


_SPECIAL: Final[dict[str, Callable[[Reader, int, int], Any]]] = {
    "'": Reader._quote,
    "@": Reader._deref,
    "\\": Reader._char,
    "^": Reader._meta,
    "`": Reader._no_macro,
    "~": Reader._no_macro,
    "#": Reader._dispatch,
}
