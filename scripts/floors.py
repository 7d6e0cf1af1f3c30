"""The floors of the house: which package may import which. Used by the floors test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FLOORS: Final[tuple[tuple[str, ...], ...]] = (
    ("errors",),
    ("model", "fsx", "picture"),
    ("plan",),
    ("pack", "store", "mirror", "catalog", "workspace", "sandbox", "reapi"),
    ("engine",),
    ("polytope", "watch", "fuse"),
    ("cli",),
)
# polytope is a house within the house
POLYTOPE: Final[tuple[tuple[str, ...], ...]] = (
    ("nouns",),
    ("spec", "issues", "marks", "events"),
    ("runner", "code"),
    ("text", "types"),
    ("files",),
    ("calls", "containers"),
    ("modules",),
    ("hermetic",),
    ("dockerfile",),
    ("jobs", "triggers"),
    ("survey",),
)


def floors_of(floors: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {room: number for number, rooms in enumerate(floors) for room in rooms}


FLOOR_OF: Final = floors_of(FLOORS)
POLYTOPE_FLOOR_OF: Final = floors_of(POLYTOPE)


def imports(path: Path, package: str, house: str = "warpforge") -> Iterator[tuple[int, str]]:
    """Every ``<house>.<room>`` that one file imports, with its line."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = f"{base}.{node.module}" if base and node.module else (node.module or base)
            names = [f"{module}.{alias.name}" for alias in node.names] if module == house else [module]
        for name in names:
            if name.startswith(house + "."):
                yield node.lineno, name.removeprefix(house + ".").partition(".")[0]


def violations(root: Path, floor_of: dict[str, int] = FLOOR_OF, house: str = "warpforge") -> Iterator[str]:
    """Every import that does not go down, as ``file:line: room -> room``."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        room = parts[0]
        if room in ("__init__", "__main__"):
            continue
        if room not in floor_of:
            yield f"{path}: {room} stands on no floor"
            continue
        for line, other in imports(path, ".".join((house, *parts[:-1])), house):
            if other != room and other in floor_of and floor_of[other] >= floor_of[room]:
                yield f"{path}:{line}: {room} -> {other}"
            elif other not in floor_of and other != "__version__":
                yield f"{path}:{line}: {room} -> {other}, which stands on no floor"
