"""The atoms of every document: ids, addresses, references, ports and filters, and how each is spelled.

A value of one of these types in hand is valid. ``parse`` takes the text as a document spells it, scheme included
(a WareId and a CatalogRef: without it); ``str`` gives it back. Errors are Invalid, also a ValueError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from warpforge.errors import Invalid

from .names import fault_of_label, fault_of_step, is_item_name, is_packtype, is_release_name, parse_module_name

_HASH_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_SECRET_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGITS: Final = frozenset("0123456789")

MOUNT_MODES: Final = ("ro", "rw", "overlay")
INGEST_KINDS: Final = ("git", "dir", "tar", "oci", "literal")


class WareId(NamedTuple):
    """The name of a file tree: how it is packed, and its hash, kept verbatim."""

    packtype: str
    hash: str

    def __str__(self) -> str:
        return f"{self.packtype}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> WareId:
        """``packtype:hash``. Errors: ``wareid-invalid``."""
        packtype, _, hash_ = text.partition(":")
        if not is_packtype(packtype) or not 0 < len(hash_) <= 128 or not _HASH_LETTERS.issuperset(hash_):
            raise Invalid("wareid-invalid", f"not a WareId: {text!r}; one looks like tar:4z9DC...", wareId=text)
        return cls(packtype, hash_)

    @property
    def is_missing(self) -> bool:
        """Whether this is ``tar:-``: the ware of an output that was not there; it exists nowhere."""
        return self.hash == "-"


class CatalogRef(NamedTuple):
    """A name that people can say: ``module:release:item``."""

    module: str
    release: str
    item: str

    def __str__(self) -> str:
        return f"{self.module}:{self.release}:{self.item}"

    @classmethod
    def parse(cls, text: str) -> CatalogRef:
        """``module:release:item``. Errors: ``catalog-name``."""
        parts = text.split(":")
        if len(parts) != 3:
            raise Invalid("catalog-name", f"not a catalog reference: {text!r}; one is module:release:item", ref=text)
        if not is_release_name(parts[1]) or not is_item_name(parts[2]):
            raise Invalid(
                "catalog-name",
                f"{text!r}: names of releases and items are letters, digits and - _ . + ~, at most 127",
                ref=text,
            )
        return cls(parse_module_name(parts[0]), parts[1], parts[2])


class Pipe(msgspec.Struct, frozen=True):
    """The output ``label`` of the step ``step``, or, when ``step`` is empty, the plot's input ``label``."""

    step: str
    label: str

    def __str__(self) -> str:
        return f"pipe:{self.step}:{self.label}"

    @classmethod
    def parse(cls, text: str) -> Pipe:
        """``pipe:step:label`` or ``pipe::label``. Errors: ``invalid``."""
        parts = text.split(":")
        if len(parts) != 3 or parts[0] != "pipe":
            raise _refuse(text, "a pipe is pipe:step:label, or pipe::label for an input of the plot")
        fault = (parts[1] and fault_of_step(parts[1])) or fault_of_label(parts[2])
        if fault:
            raise _refuse(text, fault)
        return cls(parts[1], parts[2])


class Mount(msgspec.Struct, frozen=True):
    """A path of the host, relative to the document, mounted ``ro``, ``rw`` or as an ``overlay``."""

    mode: str
    path: str

    def __str__(self) -> str:
        return f"mount:{self.mode}:{self.path}"

    @classmethod
    def parse(cls, text: str) -> Mount:
        """``mount:ro:PATH``, ``mount:rw:PATH``, ``mount:overlay:PATH``. Errors: ``invalid``."""
        _, _, rest = text.partition(":")
        mode, _, path = rest.partition(":")
        if mode not in MOUNT_MODES:
            raise _refuse(text, "a mount is mount:ro:PATH, mount:rw:PATH or mount:overlay:PATH")
        _refuse_odd_path(text, path)
        return cls(mode, path)


class Literal(msgspec.Struct, frozen=True):
    """The text itself: a variable's value, or the content of a file."""

    text: str

    def __str__(self) -> str:
        return f"literal:{self.text}"

    @classmethod
    def parse(cls, text: str) -> Literal:
        """``literal:TEXT``; the text may be empty. Errors: none but a wrong scheme (``invalid``)."""
        scheme, colon, rest = text.partition(":")
        if scheme != "literal" or not colon:
            raise _refuse(text, "a literal is literal:TEXT")
        return cls(rest)


class Ingest(msgspec.Struct, frozen=True):
    """Something of the host made into a ware: a ``git`` ref, a ``dir``, a ``tar``, an ``oci`` image, a ``literal``.

    ``path`` is the path relative to the document (git, dir, tar), the image's reference (oci) or the text (literal).
    ``ref`` is the git ref, otherwise empty.
    """

    kind: str
    path: str
    ref: str = ""

    def __str__(self) -> str:
        return f"ingest:{self.kind}:{self.path}" + (f":{self.ref}" if self.kind == "git" else "")

    @classmethod
    def parse(cls, text: str) -> Ingest:
        """``ingest:KIND:REST``; git is split at the last colon. Errors: ``invalid``."""
        _, _, rest = text.partition(":")
        kind, colon, path = rest.partition(":")
        if kind not in INGEST_KINDS or not colon:
            raise _refuse(text, "an ingest is ingest:git:PATH:REF, or dir:PATH, tar:PATH, oci:REF, literal:TEXT")
        if kind == "literal":
            return cls(kind, path)
        ref = ""
        if kind == "git":
            path, _, ref = path.rpartition(":")
            if not ref or ref.startswith("-") or "\0" in ref:
                raise _refuse(text, "an ingest of git is ingest:git:PATH:REF")
        _refuse_odd_path(text, path)
        return cls(kind, path, ref)


class Candidate(msgspec.Struct, frozen=True):
    """The result ``item`` of ``module`` in this run or its last one, to be released as ``label``."""

    module: str
    label: str
    item: str

    def __str__(self) -> str:
        return f"candidate:{self.module}:{self.label}:{self.item}"

    @classmethod
    def parse(cls, text: str) -> Candidate:
        """``candidate:MODULE:LABEL:ITEM``. Errors: ``catalog-name``."""
        scheme, _, rest = text.partition(":")
        if scheme != "candidate":
            raise _refuse(text, "a candidate is candidate:MODULE:LABEL:ITEM")
        return cls(*CatalogRef.parse(rest))


class Secret(msgspec.Struct, frozen=True):
    """A value that the user's machine gives at run time, by name; never hashed, never recorded."""

    name: str

    def __str__(self) -> str:
        return f"secret:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Secret:
        """``secret:NAME``, capitals, digits and ``_``. Errors: ``invalid``."""
        scheme, _, name = text.partition(":")
        if scheme != "secret" or not name or name[0] in _DIGITS or not _SECRET_LETTERS.issuperset(name):
            raise _refuse(text, "a secret is secret:NAME, in capitals, digits and _")
        return cls(name)


class SandboxPort(str):
    """Where something meets the box: an absolute path, or ``$VAR``. The text is kept verbatim."""

    __slots__ = ()

    @property
    def is_variable(self) -> bool:
        return self[:1] == "$"

    @property
    def variable(self) -> str:
        """The variable's name without ``$``; empty for a path."""
        return self[1:] if self.is_variable else ""

    @property
    def path(self) -> str:
        """The path, normalised: no empty or ``.`` component, no slash at the end; empty for a variable."""
        if self[:1] == "$":
            return ""
        if self == "/" or not (self[-1:] == "/" or "//" in self or "/." in self):
            return str(self)
        return "/" + "/".join([part for part in self.split("/") if part not in ("", ".")])

    @classmethod
    def parse(cls, text: str) -> SandboxPort:
        """``/path`` without ``..`` or NUL, or ``$VAR`` without ``=`` or NUL. Errors: ``invalid``."""
        if "\0" in text:
            raise _refuse(text, "a port holds no NUL byte")
        if text[:1] == "$":
            if len(text) == 1 or "=" in text:
                raise _refuse(text, "a variable is $ and a name without =")
        elif text[:1] != "/":
            raise _refuse(text, "a port is an absolute path or $VAR")
        elif ".." in text and ".." in text.split("/"):
            raise _refuse(text, "a port's path has no .. in it")
        return cls(text)


class WarehouseAddr(str):
    """Where packed wares may be had: a URL, or ``ca+`` and the URL of a place that keeps many by their hash.

    A registry's repository (``oci://``) keeps many as it is.
    """

    __slots__ = ()

    @property
    def is_content_addressed(self) -> bool:
        return self.startswith(("ca+", "oci:", "oci+"))

    @property
    def url(self) -> str:
        """The address without ``ca+``."""
        return self.removeprefix("ca+")

    @property
    def scheme(self) -> str:
        """``https``, ``file``, ...; empty when there is none."""
        scheme, mark, _ = self.url.partition("://")
        return scheme if mark else ""

    @classmethod
    def parse(cls, text: str) -> WarehouseAddr:
        """Any address without blanks or control characters: its use shows what it is good for. Errors: ``invalid``."""
        if not text or not text.isprintable() or " " in text:
            raise _refuse(text, "an address is a URL, or ca+ and a URL")
        return cls(text)


class FilterMap(msgspec.Struct, frozen=True):
    """Filters as a document writes them: pairs in order, verbatim. What they mean is known where wares are packed."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, entries: dict[str, str] | Iterable[tuple[str, str]]) -> FilterMap:
        """From a mapping, or pairs."""
        return cls(tuple(entries.items() if isinstance(entries, dict) else entries))

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def to_serial(self) -> dict[str, str]:
        return dict(self.pairs)


def _refuse(text: str, message: str) -> Invalid:
    return Invalid("invalid", f"{text!r}: {message}", value=text)


def _refuse_odd_path(text: str, path: str) -> None:
    if not path or "\0" in path:
        raise _refuse(text, "the path is empty or holds a NUL byte")
