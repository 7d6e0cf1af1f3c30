"""What calls of built-ins come down to, as plain values: the golden files of fixtures/polytope/builtin.

    [{"module": REFERENCE, "args": {...}, "gives": {...}}, ...]

``gives`` is one of ``{"container": SPEC}``, ``{"primitive": NAME, "params": {...}}`` and ``{"code": LANGUAGE, "params":
{...}}``; of a spec only what is not the default.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.expand import Call, expand
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.resolve import Resolver
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.files.library import Library

GOLDENS = Path(__file__).parents[2] / "fixtures" / "polytope" / "builtin"


class NoStores:
    """Nothing is stored."""

    def value(self, name: str) -> str | None:
        return None

    def secret(self, name: str) -> str | None:
        return None


def give(module: str, args: dict[str, Any], evaluator: Evaluator) -> dict[str, Any]:
    """What a call from the command line comes down to, in /project."""
    library = Library(None, directory="/project")
    resolver = Resolver(library, evaluator, NoStores(), cwd="/project")
    leaf = expand(Call(reference=module, args=copied(args)), resolver)
    if leaf.code is not None:
        return {"code": leaf.code.language, "params": leaf.params}
    if leaf.primitive != "container":
        return {"primitive": leaf.primitive, "params": leaf.params}
    facts = Facts(base="/project", cwd="/project", root="/project", step="step")
    return {"container": plain(make_container(leaf.params, facts))}


def copied(args: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(args))
    return made


def plain(value: Any) -> Any:
    """A struct as a map of what is not the default."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        said = {one.name: getattr(value, one.name) for one in fields}
        found = {one.name: plain(said[one.name]) for one in fields if said[one.name] not in (one.default, {})}
        tag = value.__struct_config__.tag
        return {"type": tag, **found} if tag else found
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def load(path: Path) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads(path.read_text())
    return calls


def write(path: Path, evaluator: Evaluator) -> None:
    """The calls of a file with what they give now."""
    calls = [
        {"module": call["module"], "args": call["args"], "gives": give(call["module"], call["args"], evaluator)}
        for call in load(path)
    ]
    path.write_text(json.dumps(calls, indent="\t", ensure_ascii=False) + "\n")
