"""Typed values out of evaluated arguments: every fault is told with its path, all of them at once.

Whatever is at fault leaves a harmless value behind, so that the rest can be looked at too.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeVar

from warpforge.errors import Invalid
from warpforge.polytope.nouns import Value

_T = TypeVar("_T", bound=str)
_TRUTHS: Final = {"true": True, "false": False}


class Fault(NamedTuple):
    """``path`` leads from the arguments to what is wrong: ``mounts[1].source.type``."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class Taking:
    """The arguments of one call. Null means everywhere that nothing was said."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(path, message))

    def finish(self, what: str) -> None:
        """Errors: ``invalid-argument`` (reason argument) for everything found; ``path`` is the first one's."""
        if not self.faults:
            return
        lines = "; ".join(map(str, self.faults))
        raise Invalid(
            "invalid-argument",
            f"{what}: {lines}",
            reason="argument",
            path=self.faults[0].path,
            findings=len(self.faults),
        )

    def text(self, value: Value, path: str, default: str = "") -> str:
        """Text; numbers and truth values as they are written."""
        if value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        self.fault(path, f"text was expected, not {kind_of(value)}")
        return default

    def whole(self, value: Value, path: str, default: int = 0) -> int:
        """A whole number, perhaps as text: values and secrets are always text."""
        if value is None:
            return default
        found = _number(value)
        if found is None or found != int(found):
            self.fault(path, f"a whole number was expected, not {show(value)}")
            return default
        return int(found)

    def number(self, value: Value, path: str, default: float = 0.0) -> float:
        if value is None:
            return default
        found = _number(value)
        if found is None:
            self.fault(path, f"a number was expected, not {show(value)}")
            return default
        return found

    def truth(self, value: Value, path: str, *, default: bool = False) -> bool:
        if value is None:
            return default
        if isinstance(value, str):
            value = _TRUTHS.get(value.strip().lower(), value)
        if isinstance(value, bool):
            return value
        self.fault(path, f"true or false was expected, not {show(value)}")
        return default

    def choice(self, value: Value, path: str, choices: Iterable[_T], default: _T) -> _T:
        if value is None:
            return default
        for choice in choices:
            if value == choice:
                return choice
        self.fault(path, f"{show(value)} is none of {', '.join(choices)}")
        return default

    def items(self, value: Value, path: str) -> Iterator[tuple[Value, str]]:
        """The entries of a list, null ones left out, each with its path."""
        if value is None:
            return
        if not isinstance(value, list):
            self.fault(path, f"a list was expected, not {kind_of(value)}")
            return
        for index, item in enumerate(value):
            if item is not None:
                yield item, f"{path}[{index}]"

    def mapping(self, value: Value, path: str) -> dict[str, Value]:
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.fault(path, f"a map was expected, not {kind_of(value)}")
        return {}

    def words(self, value: Value, path: str) -> tuple[str, ...] | None:
        """A command: a list as it is, text split into words as a shell splits them, without a shell."""
        if value is None:
            return None
        if isinstance(value, list):
            return tuple(self.text(item, where) for item, where in self.items(value, path))
        try:
            return tuple(shlex.split(self.text(value, path)))
        except ValueError as error:
            self.fault(path, f"{show(value)} is no command: {str(error).lower()}")
            return ()


def kind_of(value: Value) -> str:
    """What a value is, for a message."""
    if isinstance(value, bool):
        return "a truth value"
    return {dict: "a map", list: "a list", str: "text", type(None): "nothing"}.get(type(value), "a number")


def show(value: Value) -> str:
    """A value, for a message: short."""
    if isinstance(value, dict | list):
        return kind_of(value)
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 2**63 else None
