"""The schemas of JSON lines: one file a kind in ``warpforge/schema``, JSON Schema of the draft 2020-12."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

ON_STDERR: Final = ("error", "output")


def kinds() -> list[str]:
    """Every kind of line, sorted."""
    found = (entry.name for entry in files("warpforge").joinpath("schema").iterdir())
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


def schema(kind: str) -> dict[str, Any]:
    """The schema of a whole line of one kind. Raises FileNotFoundError."""
    text = files("warpforge").joinpath("schema", f"{kind}.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def every_line() -> dict[str, Any]:
    """One schema for whatever may stand on a line of stdout."""
    definitions = {kind: schema(kind) for kind in kinds() if kind not in ON_STDERR}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a line on stdout under --json",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in definitions],
        "$defs": definitions,
    }
