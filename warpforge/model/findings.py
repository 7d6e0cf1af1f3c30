"""What is wrong with a document: findings, each with its JSON pointer, gathered and then raised once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from warpforge.errors import Invalid

# A place in a document: () for its root, else (place of the parent, key or index). Rendered only when needed.
Place = tuple[Any, ...]
ROOT: Final[Place] = ()

SCHEMA: Final = "schema"
UNKNOWN_FIELD: Final = "unknown-field"
VERSION: Final = "version"
WAREID: Final = "wareid"
LIMIT: Final = "limit"

# when every finding has the same one of these reasons, the error has its code and not the document's
_OWN_CODES: Final = {UNKNOWN_FIELD: "datatoonew", VERSION: "datatoonew", WAREID: "wareid-invalid"}


class Finding(NamedTuple):
    """One thing to say about a document: ``path`` is a JSON pointer, ``reason`` a word for programs."""

    path: str
    message: str
    reason: str = SCHEMA

    def __str__(self) -> str:
        return f"{self.path or '(the document)'}: {self.message}"

    def to_serial(self) -> dict[str, str]:
        return {"path": self.path, "message": self.message, "reason": self.reason}


class InvalidDocument(Invalid):
    """A document that breaks its schema. ``findings`` holds all that is wrong with it, in document order."""

    findings: tuple[Finding, ...] = ()


def invalid_document(code: str, name: str, findings: Sequence[Finding]) -> InvalidDocument:
    """One error for all findings. Details: ``document``, ``path`` and ``reason`` of the first, ``findings`` (count)."""
    first = findings[0]
    reasons = {finding.reason for finding in findings}
    own = _OWN_CODES.get(first.reason) if len(reasons) == 1 else None
    lines = "".join(f"\n  {finding}" for finding in findings[1:])
    error = InvalidDocument(
        own or code,
        f"{name}: {first}{lines}",
        document=name,
        path=first.path,
        reason=first.reason,
        findings=len(findings),
    )
    error.findings = tuple(findings)
    return error


def pointer(place: Place) -> str:
    """The JSON pointer (RFC 6901) of a place."""
    parts: list[str] = []
    while place:
        place, key = place
        parts.append(str(key).replace("~", "~0").replace("/", "~1"))
    parts.append("")
    return "/".join(reversed(parts))
