"""What is wrong with a polytope file or a call, each with its place; gathered, then raised once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, NoReturn

from warpforge.errors import Invalid, Missing
from warpforge.polytope.nouns import Place

Level = Literal["error", "warning"]

PARSE: Final = "parse"
LIMIT: Final = "limit"
SCAFFOLD: Final = "scaffold"
SCHEMA: Final = "schema"
TYPE: Final = "type"
REFERENCE: Final = "reference"
CODE: Final = "code"


def spell(place: Place) -> str:
    """``file:line:column``, as far as they are known."""
    return ":".join(str(part) for part in place if part)


class Issue(NamedTuple):
    """One thing to say; ``reason`` is a word for programs."""

    place: Place
    message: str
    reason: str = SCHEMA
    level: Level = "error"

    def __str__(self) -> str:
        where = spell(self.place)
        return f"{where}: {self.message}" if where else self.message

    def to_serial(self) -> dict[str, str | int]:
        """``{"document", "line", "column", "level", "reason", "message"}``."""
        return {
            "document": self.place.path,
            "line": self.place.line,
            "column": self.place.column,
            "level": self.level,
            "reason": self.reason,
            "message": self.message,
        }


class Refused(Invalid):
    """``findings`` holds all that is wrong, in the order it was written in."""

    findings: tuple[Issue, ...] = ()


class NotThere(Missing):
    """Things that are named and are not there; ``findings`` as in ``Refused``."""

    findings: tuple[Issue, ...] = ()


def not_there(issues: Sequence[Issue]) -> NotThere:
    """One error, ``missing``, for all issues. Details: ``document``, ``line`` and ``column`` of the first."""
    first = issues[0]
    error = NotThere(
        "missing",
        str(first),
        document=first.place.path or None,
        line=first.place.line or None,
        column=first.place.column or None,
        reason=REFERENCE,
        findings=len(issues),
    )
    error.findings = tuple(issues)
    return error


def refuse(code: str, issues: Sequence[Issue]) -> NoReturn:
    """One error for all issues. Details: ``document``, ``line``, ``column`` and ``reason`` of the first."""
    first = issues[0]
    error = Refused(
        code,
        str(first),
        document=first.place.path or None,
        line=first.place.line or None,
        column=first.place.column or None,
        reason=first.reason,
        findings=len(issues),
    )
    error.findings = tuple(issues)
    raise error
