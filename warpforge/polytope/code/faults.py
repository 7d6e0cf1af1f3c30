"""What goes wrong in code, as it crosses from a worker to the evaluator."""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """``reason``: code, syntax, memory, time. ``line``, ``column``: within the code, from 1; 0: not known."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "code",
        line: int = 0,
        column: int = 0,
        data: Any = None,
        is_of_host: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.line = line
        self.column = column
        self.data = data
        self.is_of_host = is_of_host

    def to_serial(self) -> dict[str, Any]:
        return {
            "message": self.message[:10_000],
            "reason": self.reason,
            "line": self.line,
            "column": self.column,
            "is_of_host": self.is_of_host,
        }
