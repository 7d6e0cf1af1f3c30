"""What every text is read into, and the bounds that all readers keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

from warpforge.errors import Invalid, Unable
from warpforge.polytope.issues import LIMIT, PARSE, SCAFFOLD, Issue, refuse
from warpforge.polytope.nouns import Place, Value, Way

SIZE_LIMIT: Final = 4 << 20
DEPTH_LIMIT: Final = 100
PART_LIMIT: Final = 200_000  # values, each use of an alias counted whole

PLACEHOLDER: Final = re.compile(r"\{\{\s*[\w-]+(?:\s*\|\s*\w+)*\s*\}\}|\{=\s*[\w-]+\s*=\}")


class Document(NamedTuple):
    """``places``: way -> (line, column), both from 1; of a map's member it is where its key stands. ``blocks``: way ->
    line at which a text begins that is written line by line as it is."""

    name: str
    value: Value
    places: dict[Way, tuple[int, int]]
    blocks: Mapping[Way, int] = MappingProxyType({})

    def place(self, way: Way) -> Place:
        """Where a part was written, or the nearest thing around it."""
        while way and way not in self.places:
            way = way[:-1]
        return Place(self.name, *self.places.get(way, (1, 1)))


class Parts:
    """Counts the parts of a document while it is read, and knows how deep the reader is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._count = 0

    def enter(self, depth: int, line: int, column: int) -> None:
        """One more part. Errors: ``serialization``, reason ``limit``."""
        self._count += 1
        if depth > DEPTH_LIMIT:
            fail(self.name, f"nested more than {DEPTH_LIMIT} deep", line, column, LIMIT)
        if self._count > PART_LIMIT:
            fail(self.name, f"more than {PART_LIMIT} values (aliases count whole)", line, column, LIMIT)


def fail(name: str, message: str, line: int, column: int, reason: str = PARSE) -> NoReturn:
    """Refuse a text. Errors: ``serialization``; details ``document``, ``line``, ``column``, ``reason``."""
    refuse("serialization", [Issue(Place(name, line, column), message, reason)])


def decode(data: bytes, name: str) -> str:
    """The text of a file. Errors: ``serialization``, reason ``limit`` or ``parse``."""
    if len(data) > SIZE_LIMIT:
        fail(name, f"larger than {SIZE_LIMIT >> 20} MiB", 1, 1, LIMIT)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        fail(name, "not UTF-8", *line_column(before, len(before)))
    if (at := text.find("\0")) >= 0:
        fail(name, "a NUL byte: this is no text", *line_column(text, at))
    return text


def line_column(text: str, at: int) -> tuple[int, int]:
    """Both from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def find_placeholder(text: str) -> tuple[str, int, int] | None:
    """The first ``{{ x | filter }}`` or ``{= x =}`` outside of comment lines: as written, line, column."""
    for match in PLACEHOLDER.finditer(text):
        start = text.rfind("\n", 0, match.start()) + 1
        if not text[start : match.start()].lstrip().startswith(("#", ";")):
            return match[0], *line_column(text, match.start())
    return None


def _refuse_surrogates(document: Document) -> Document:
    """Halves of characters, which escapes can spell."""
    waiting: list[tuple[Value, Way]] = [(document.value, ())]
    while waiting:
        value, way = waiting.pop()
        if isinstance(value, dict | list):
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(inner, (*way, key)) for key, inner in parts]
            waiting += [(key, (*way, key)) for key in value] if isinstance(value, dict) else []
        elif isinstance(value, str) and not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            place = document.place(way)
            fail(document.name, "text that is no Unicode: half a character", place.line, place.column)
    return document


def load_document(data: bytes, name: str) -> Document:
    """Read a text by the end of its name: .yml, .yaml, .json or .edn.

    Errors: ``serialization``; reason ``scaffold`` when it cannot be read because placeholders were not filled in.
    """
    text = decode(data, name)
    try:
        if name.endswith(".edn"):
            from warpforge.polytope.text.edn import read_edn

            return _refuse_surrogates(read_edn(text, name))
        if name.endswith(".json"):
            from warpforge.polytope.text.json import read_json

            return _refuse_surrogates(read_json(text, name))
        read_yaml = _yaml_reader()
        return _refuse_surrogates(read_yaml(text, name))
    except Invalid as error:
        if error.reason == PARSE and (found := find_placeholder(text)):
            refuse_placeholder(name, *found, because=error.message)
        raise


def _yaml_reader() -> Callable[[str, str], Document]:
    try:
        from warpforge.polytope.text.yaml import read_yaml
    except ImportError as error:
        raise Unable("syscall", "YAML needs the extra polytope: pip install 'warpforge[polytope]'") from error
    return read_yaml


def refuse_placeholder(name: str, placeholder: str, line: int, column: int, *, because: str = "") -> NoReturn:
    """Errors: ``serialization``, reason ``scaffold``."""
    message = f"{placeholder} is a placeholder of a scaffold template: fill it in first (polytope/scaffold does that)"
    issues = [Issue(Place(name, line, column), message, SCAFFOLD)]
    if because:
        issues.append(Issue(Place(), f"as it stands it cannot be read: {because}", PARSE))
    refuse("serialization", issues)
