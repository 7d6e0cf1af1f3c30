"""Names and their values, scope by scope, and what ``recur`` hands to its loop."""

from __future__ import annotations

from typing import Any


class Recur:
    """What ``recur`` gives its loop."""

    __slots__ = ("values",)

    def __init__(self, values: list[Any]) -> None:
        self.values = values


class Env:
    """Names and their values, and the names around them."""

    __slots__ = ("names", "outer")

    def __init__(self, names: dict[str, Any], outer: Env | None = None) -> None:
        self.names = names
        self.outer = outer

    def around(self, name: str) -> Env | None:
        """The nearest that knows the name."""
        env: Env | None = self
        while env is not None and name not in env.names:
            env = env.outer
        return env
