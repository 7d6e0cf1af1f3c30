"""JSON text -> plain values, by a reader of ours that knows line and column and forgives commas.

It takes what ``plaintext`` does not vouch for: what is wrong, what is large or oddly escaped, and the lenient texts, in
which commas between members may be missing and one may trail, as the original's reader has it; each slip is noted.
Iterative, so depth costs no stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

from warpforge.errors import Invalid

from .plaintext import DEPTH_LIMIT, INT_LIMIT, MEMBER_LIMIT, SIZE_LIMIT

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_STRING: Final = re.compile(r'"([^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*)"')
_ESCAPE: Final = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.)", re.DOTALL
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9A-Za-z.+-])")
_WORD: Final = re.compile(r"(?:true|false|null)(?![0-9A-Za-z_])")
_WORDS: Final = {"true": True, "false": False, "null": None}
_ESCAPED: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


class Slip(NamedTuple):
    """A comma that is missing, or one too many, and where."""

    line: int
    column: int
    message: str


def read_careful(data: bytes, name: str) -> tuple[Any, list[Slip]]:
    """The value, and the slips forgiven.

    Errors: ``serialization``, reason ``parse`` or ``limit``; details ``document``, ``line`` and ``column``.
    """
    if len(data) > SIZE_LIMIT:
        raise _error(name, "limit", f"the document is larger than {SIZE_LIMIT} bytes", 1, 1)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode("utf-8", "replace"), None)
        raise _error(name, "parse", "the document is not UTF-8", line, column) from None
    return _Reader(text, name).read()


class _Reader:
    """One text being read; ``_at`` is the index of the next character."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._at = 0
        self._members = 0
        self._slips: list[tuple[int, str]] = []

    def read(self) -> tuple[Any, list[Slip]]:
        if self._text.startswith("\ufeff"):
            self._fail("the document begins with a byte order mark: remove it")
        self._skip()
        value = self._value()
        open_ones: list[Any] = []
        if type(value) in (dict, list):
            open_ones.append(value)
        while open_ones:
            inner = self._next(open_ones[-1])
            if inner is None:
                open_ones.pop()
            elif type(inner[0]) in (dict, list):
                if len(open_ones) >= DEPTH_LIMIT:
                    self._fail(f"objects and arrays are nested more than {DEPTH_LIMIT} deep", "limit")
                open_ones.append(inner[0])
        self._skip()
        if self._at < len(self._text):
            self._fail("nothing may follow the document")
        return value, list(self._placed())

    def _next(self, container: Any) -> tuple[Any] | None:
        """The next member, added to its container, or None at the container's end."""
        if not self._more(container):
            return None
        if type(container) is list:
            value = self._value()
            container.append(value)
            return (value,)
        start = self._at
        if self._text[start : start + 1] != '"':
            self._fail("a key is wanted here: a string in quotes")
        key = self._string()
        if key in container:
            self._fail(f"the key {key!r} is given twice in one object", at=start)
        self._members += 1
        if self._members > MEMBER_LIMIT:
            self._fail(f"the document has more than {MEMBER_LIMIT} members", "limit")
        self._skip()
        if self._text[self._at : self._at + 1] != ":":
            self._fail("a colon is wanted here")
        self._at += 1
        self._skip()
        value = container[key] = self._value()
        return (value,)

    def _more(self, container: Any) -> bool:
        """Go past the comma, if any; False, past the bracket, at the end."""
        self._skip()
        end = "}" if type(container) is dict else "]"
        if self._text[self._at : self._at + 1] == end:
            self._at += 1
            return False
        if not container:
            return True
        comma = self._at
        if self._text[comma : comma + 1] != ",":
            if comma < len(self._text) and self._text[comma] not in ":}]":
                self._slip("a comma is missing", comma)
            return True
        self._at += 1
        self._skip()
        if self._text[self._at : self._at + 1] == end:
            self._slip("a comma too many", comma)
            self._at += 1
            return False
        return True

    def _value(self) -> Any:
        first = self._text[self._at : self._at + 1]
        if first == '"':
            return self._string()
        if first in ("{", "["):
            self._at += 1
            return {} if first == "{" else []
        if match := _WORD.match(self._text, self._at):
            self._at = match.end()
            return _WORDS[match[0]]
        if match := _NUMBER.match(self._text, self._at):
            return self._number(match)
        return self._fail("the document ends too early" if not first else "a value is wanted here")

    def _number(self, match: re.Match[str]) -> int | float:
        if match[1] or match[2]:
            number = float(match[0])
            if number in (float("inf"), float("-inf")):
                self._fail("the number is too large for any reader")
            self._at = match.end()
            return number
        if len(match[0]) > 17 or abs(int(match[0])) > INT_LIMIT:
            self._fail("the number is beyond 2^53", "limit")
        self._at = match.end()
        return int(match[0])

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            self._fail("a string that begins here does not end, or holds a control character")
        start, self._at = self._at, match.end()
        raw = match[1]
        return raw if "\\" not in raw else _ESCAPE.sub(lambda escape: self._unescape(escape, start), raw)

    def _unescape(self, escape: re.Match[str], start: int) -> str:
        high, low, single, letter = escape.groups()
        if high:
            return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
        at = start + 1 + escape.start()
        if single:
            if 0xD800 <= int(single, 16) < 0xE000:
                self._fail("half a surrogate pair is no character", at=at)
            return chr(int(single, 16))
        if letter not in _ESCAPED:
            self._fail(f"unknown escape \\{letter}", at=at)
        return _ESCAPED[letter]

    def _skip(self) -> None:
        match = _BLANKS.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _slip(self, message: str, at: int) -> None:
        self._slips.append((at, message))

    def _placed(self) -> Iterator[Slip]:
        """The slips with line and column, counted in one pass over the text."""
        line, passed = 1, 0
        for at, message in self._slips:
            line += self._text.count("\n", passed, at)
            passed = at
            yield Slip(line, at - self._text.rfind("\n", 0, at), message)

    def _fail(self, message: str, reason: str = "parse", at: int | None = None) -> NoReturn:
        raise _error(self._name, reason, message, *_position(self._text, self._at if at is None else at))


def _position(text: str, at: int | None) -> tuple[int, int]:
    """Line and column, from 1, of an index (or of the text's end)."""
    at = len(text) if at is None else at
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _error(name: str, reason: str, message: str, line: int, column: int) -> Invalid:
    return Invalid(
        "serialization",
        f"{name}, line {line}, column {column}: {message}",
        document=name,
        reason=reason,
        line=line,
        column=column,
    )
