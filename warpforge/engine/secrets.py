"""Secrets: values that a step is given by name and that nobody else may see.

    source     where the value comes from, as a person or a workspace's ``config/secrets.json`` says; a plot cannot say
               it: a plot of somebody else must not be able to ask for any variable of the environment
    value      held in memory here, in the helper, and in the box: there a 0400 file on tmpfs, or a variable
    spelling   a way in which a value may show: as it is, without its line end, each line of it (from 8 bytes on);
               either as URLs, forms, JSON, shells and XML write it; all of it in hex, or within base64
    veil       puts *** in the place of every spelling in what is logged, shown or said
    search     looks for every spelling in what would be kept: contents, names, links, attributes

What an action does to a value on purpose (turn it round, compress it) hides it from both.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

from warpforge.engine.reach import read_config
from warpforge.errors import Failed, Invalid, Missing, Unable, WarpforgeError
from warpforge.model.conduct import SecretSource

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.fsx.tree import Content, Entry
    from warpforge.workspace.find import Stack

FILE: Final = "secrets.json"
SHORTEST: Final = 4  # bytes of a value: a shorter one would be found everywhere
LONGEST: Final = 1 << 20
PATIENCE: Final = 60  # seconds that a command may take to give a value
STARS: Final = b"***"
_LINE: Final = 8  # a shorter line of a value with several says nothing on its own
_WIDTHS: Final = (76, 64)  # of lines of base64
_SAFE_IN_URLS: Final = ("", "/", "!~*'()")  # by whom: most; those who quote paths; encodeURIComponent
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_IN_QUOTES: Final = re.compile(rb'["$`\\]')  # what shells want a backslash before between double quotes
_IN_WORDS: Final = re.compile(rb"[^\w@%+=:,./\x80-\xff-]")  # and outside of quotes
_CORE: Final = 6  # so much of a base64 form must not depend on what stands around it


class Secrets:
    """Values by name; each source is asked once. ``given``: sources of this command, before those of workspaces."""

    def __init__(
        self,
        stack: Stack,
        given: Mapping[str, SecretSource],
        variable: Callable[[str], str | None],
        directory: Path | None = None,
    ) -> None:
        self._stack = stack
        self._given = given
        self._variable = variable
        self._directory = directory or stack[0].path
        self._values: dict[str, bytes] = {}

    def get(self, name: str) -> bytes:
        """One value. Errors: ``missing`` (secret), ``invalid`` (secret), ``serialization``, ``io``."""
        if name not in self._values:
            source, base = self._find(name)
            value = _VALUES[source.kind](self, name, source.argument, base)
            if not SHORTEST <= len(value.strip()) <= LONGEST:
                raise Invalid(
                    "invalid",
                    f"the secret {name} from {source.kind} has {len(value.strip())} bytes: a value has at least "
                    f"{SHORTEST}, or it could be neither masked nor found, and at most 1 MiB",
                    reason="secret",
                    secret=name,
                )
            self._values[name] = value
        return self._values[name]

    def _find(self, name: str) -> tuple[SecretSource, Path]:
        if name in self._given:
            return self._given[name], self._directory
        for workspace in self._stack:
            path = workspace.config(FILE)
            data = read_config(path)
            if data is not None:
                from warpforge.model.serial import load_secrets

                sources = load_secrets(data, str(path)).noun.sources
                if name in sources:
                    return sources[name], workspace.path
        raise self._missing(
            name,
            f"nobody says where the secret {name} comes from: use --secret {name}=env:VARIABLE, file:PATH or "
            f"cmd:COMMAND, or name it in .warpforge/config/{FILE}",
        )

    def _missing(self, name: str, message: str) -> Missing:
        return Missing("missing", message, reason="secret", secret=name)

    def _from_environment(self, name: str, variable: str, _: Path) -> bytes:
        value = self._variable(variable)
        if value is None:
            raise self._missing(name, f"the secret {name} is to come from the variable {variable}, which is not set")
        return os.fsencode(value)

    def _from_file(self, name: str, path: str, base: Path) -> bytes:
        try:
            with open(base / path, "rb") as file:
                return file.read(LONGEST + 2)
        except OSError as error:
            message = f"the secret {name} is to come from {base / path}: {error.strerror}"
            raise self._missing(name, message) from error

    def _from_command(self, name: str, command: str, base: Path) -> bytes:
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=base,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Unable("io", f"the command that gives the secret {name} did not end well", secret=name) from error
        if done.returncode:
            raise self._missing(name, f"the command that gives the secret {name} ended with {done.returncode}")
        return done.stdout.removesuffix(b"\n")


_VALUES: Final[dict[str, Callable[[Secrets, str, str, Path], bytes]]] = {
    "env": Secrets._from_environment,
    "file": Secrets._from_file,
    "cmd": Secrets._from_command,
}


def spell_all(values: Mapping[str, bytes]) -> list[bytes]:
    """Every spelling of these values, the longest first."""
    found = {spelling for value in values.values() for spelling in _spell(value)}
    return sorted(found, key=lambda spelling: (-len(spelling), spelling))


def _spell(value: bytes) -> Iterator[bytes]:
    bare = value.strip()
    lines = [line.strip() for line in bare.split(b"\n") if len(line.strip()) >= _LINE]
    for text in dict.fromkeys((bare, *lines)):
        yield text
        yield from _quote(text)
    yield bare.hex().encode()
    yield bare.hex().upper().encode()
    for alphabet in (b"+/", b"-_"):
        for before in range(3):
            text = base64.b64encode(bytes(before) + bare, alphabet).rstrip(b"=")
            # what depends on the bytes before the value or behind it is left out
            core = text[(before * 8 + 5) // 6 : (before + len(bare)) * 8 // 6]
            if len(core) >= _CORE:
                yield core
    packed = base64.b64encode(bare).rstrip(b"=")
    packed = packed[: len(bare) * 8 // 6]
    for width in _WIDTHS:  # as base64(1) and PEM break it
        yield from (part for at in range(0, len(packed), width) if len(part := packed[at : at + width]) >= _LINE)


def _quote(text: bytes) -> Iterator[bytes]:
    """As other languages write it within theirs: URLs and forms, JSON, shells, XML."""
    for safe in _SAFE_IN_URLS:
        quoted = quote_from_bytes(text, safe=safe)
        for one in (quoted, quoted.replace("%20", "+")):
            yield one.encode()
            yield _PERCENT.sub(lambda match: match[0].lower(), one).encode()
    word = text.decode("utf-8", "surrogateescape")
    for is_ascii in (True, False):
        inside = json.dumps(word, ensure_ascii=is_ascii)[1:-1].encode("utf-8", "surrogateescape")
        yield inside
        yield inside.replace(b"/", b"\\/")
    for quote in (b"'\\''", b"'\"'\"'"):
        yield text.replace(b"'", quote)
    yield _IN_QUOTES.sub(rb"\\\g<0>", text)
    yield _IN_WORDS.sub(rb"\\\g<0>", text)
    escaped = html.escape(word, quote=True).encode("utf-8", "surrogateescape")
    yield escaped
    yield escaped.replace(b"&#x27;", b"&#39;")
    yield html.escape(word, quote=False).encode("utf-8", "surrogateescape")


class Veil:
    """One stream of bytes, masked: what may be the begin of a spelling is held back until more has come."""

    def __init__(self, spellings: list[bytes]) -> None:
        self._spellings = spellings
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown now."""
        data = self._held + data
        end = _find_across(data, len(data) - _begun(data, self._spellings), self._spellings)
        self._held = data[end:]
        return veil(data[:end], self._spellings)

    def flush(self) -> bytes:
        """What was held back, at the end."""
        held, self._held = self._held, b""
        return veil(held, self._spellings)


def veil(data: bytes, spellings: list[bytes]) -> bytes:
    """With *** in the place of every spelling."""
    for spelling in spellings:
        data = data.replace(spelling, STARS)
    return data


def _begun(data: bytes, spellings: list[bytes]) -> int:
    """How many of the last bytes are the begin of a spelling."""
    for length in range(min(len(data), len(spellings[0]) - 1), 0, -1):
        end = data[-length:]
        if any(len(spelling) > length and spelling.startswith(end) for spelling in spellings):
            return length
    return 0


def _find_across(data: bytes, end: int, spellings: list[bytes]) -> int:
    """Where the first spelling begins that would be cut there; else there. One may begin as another ends."""
    for spelling in spellings:
        begin = max(0, end - len(spelling) + 1)
        found = data.find(spelling, begin, end + len(spelling) - 1)
        if 0 <= found < end:
            return _find_across(data, found, spellings)
    return end


def veil_error(error: WarpforgeError, spellings: list[bytes]) -> None:
    """Mask what an error and its causes say."""
    for link in error.chain():
        link.message = _veil_text(link.message, spellings)  # type: ignore[misc]
        link.args = (link.message,)
        for key, value in link.details.items():
            link.details[key] = _veil_text(value, spellings)


def _veil_text(text: str, spellings: list[bytes]) -> str:
    return veil(text.encode("utf-8", "surrogateescape"), spellings).decode("utf-8", "surrogateescape")


class Search:
    """An output on its way to be kept. Errors while it is read: ``output-invalid``, reason ``secret``."""

    def __init__(self, label: str, spellings: list[bytes]) -> None:
        self._label = label
        self._spellings = spellings

    def entries(self, entries: Iterator[tuple[Entry, Content | None]]) -> Iterator[tuple[Entry, Content | None]]:
        """The same entries, looked through as they pass."""
        for entry, content in entries:
            for text in (entry.path, entry.link):
                self._look(text, "a name")
            yield entry, None if content is None else _Searched(content, self)

    def _look(self, data: bytes, where: str) -> None:
        if any(spelling in data for spelling in self._spellings):
            raise Failed(
                "output-invalid",
                f"output {self._label}: {where} in it shows a secret: what is kept must not tell any; nothing was kept",
                reason="secret",
                output=self._label,
            )

    @property
    def overlap(self) -> int:
        """Bytes of one block that belong before the next."""
        return len(self._spellings[0]) - 1


class _Searched:
    """A content that is looked through as it is read."""

    def __init__(self, content: Content, search: Search) -> None:
        self._content = content
        self._search = search
        self._end = b""

    def read(self, size: int, /) -> bytes:
        data = self._content.read(size)
        whole = self._end + data
        self._search._look(whole, "a file")
        self._end = whole[-self._search.overlap :] if self._search.overlap else b""
        return data
