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
FLOOR_OF: Final = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imports(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """Every ``warpforge.<room>`` that one file imports, with its line."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = f"{base}.{node.module}" if base and node.module else (node.module or base)
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "warpforge" else [module]
        for name in names:
            parts = name.split(".")
            if parts[0] == "warpforge" and len(parts) > 1:
                yield node.lineno, parts[1]


def violations(root: Path) -> Iterator[str]:
    """Every import that does not go down, as ``file:line: room -> room``."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        room = parts[0]
        if room in ("__init__", "__main__"):
            continue
        if room not in FLOOR_OF:
            yield f"{path}: {room} stands on no floor"
            continue
        for line, other in imports(path, ".".join(("warpforge", *parts[:-1]))):
            if other != room and other in FLOOR_OF and FLOOR_OF[other] >= FLOOR_OF[room]:
                yield f"{path}:{line}: {room} -> {other}"
            elif other not in FLOOR_OF and other != "__version__":
                yield f"{path}:{line}: {room} -> {other}, which stands on no floor"
