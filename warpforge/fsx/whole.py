"""Functions that no signal interrupts: they begin something short, and note that they did."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, Final, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

MARKED: Final[set[CodeType]] = set()  # their code; ``interrupts`` asks


def whole(function: Function) -> Function:
    """Mark a function."""
    MARKED.add(function.__code__)
    return function
