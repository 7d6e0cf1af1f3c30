"""A Dockerfile's text -> instructions with their lines: continuations joined, comments dropped, here-documents kept."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from warpforge.errors import Invalid

LIMIT: Final = 1 << 20
_DIRECTIVE: Final = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*")
_HEREDOC: Final = re.compile(r"<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_]*)\2")


class Document(NamedTuple):
    """A here-document. ``name``: the word that ends it; ``is_verbatim``: that word is quoted, nothing is filled in."""

    name: str
    text: str
    is_verbatim: bool


class Line(NamedTuple):
    """``word`` in capitals; ``rest`` as written, on one line."""

    word: str
    rest: str
    number: int
    documents: tuple[Document, ...] = ()


def read_lines(text: str, name: str) -> list[Line]:
    """Errors: ``serialization`` (with ``line``)."""
    if len(text) > LIMIT:
        raise refuse(name, 1, f"a Dockerfile is no larger than {LIMIT} bytes")
    rows = text.replace("\r\n", "\n").removeprefix("\ufeff").split("\n")
    escape = _read_escape(rows)
    found: list[Line] = []
    at = 0
    while at < len(rows):
        begin = at
        whole, at = _join(rows, at, escape)
        if not whole:
            continue
        word, _, rest = whole.partition(" ")
        documents: list[Document] = []
        if word.upper() in ("RUN", "COPY", "ADD") and not rest.lstrip().startswith("["):
            for dash, quote, end in _HEREDOC.findall(rest):
                text_of, at = _read_document(rows, at, end, name, begin, is_indented=bool(dash))
                documents.append(Document(end, text_of, bool(quote)))
        found.append(Line(word.upper(), rest.strip(), begin + 1, tuple(documents)))
    return found


def refuse(name: str, line: int, message: str) -> Invalid:
    """What is wrong with a line."""
    return Invalid("serialization", f"{name}:{line}: {message}", path=name, line=line, reason="parse")


def _read_escape(rows: list[str]) -> str:
    """Directives stand before everything else."""
    for row in rows:
        match = _DIRECTIVE.fullmatch(row.strip())
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in ("\\", "`"):
            return match[2]
    return "\\"


def _join(rows: list[str], at: int, escape: str) -> tuple[str, int]:
    """The line that begins at ``at`` with those that continue it; empty for a comment."""
    parts: list[str] = []
    while at < len(rows):
        row = rows[at].strip() if not parts else rows[at].rstrip()
        at += 1
        if row.lstrip().startswith("#") or (parts and not row.strip()):
            if parts:
                continue  # a comment or an empty line within a line
            return "", at
        if not row.endswith(escape):
            return " ".join(["".join(parts) + row]).replace("\t", " ", 1), at
        parts.append(row[:-1])
    return "".join(parts), at


def _read_document(rows: list[str], at: int, end: str, name: str, begin: int, *, is_indented: bool) -> tuple[str, int]:
    kept: list[str] = []
    while at < len(rows):
        row = rows[at].lstrip("\t") if is_indented else rows[at]
        at += 1
        if row == end:
            return "".join(f"{line}\n" for line in kept), at
        kept.append(row)
    raise refuse(name, begin + 1, f"the here-document {end} never ends")
