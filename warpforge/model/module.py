"""Modules: a name for the plot beside it."""

from __future__ import annotations

import msgspec


class Module(msgspec.Struct, frozen=True):
    """A module's file: the name under which its plot's results are released."""

    name: str

    def to_serial(self) -> dict[str, str]:
        return {"name": self.name}
