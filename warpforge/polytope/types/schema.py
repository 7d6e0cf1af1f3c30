"""A type -> the JSON Schema of the values that it takes, for programs that call tools.

It says no more than a caller has to know: text that stands for a number is taken too, but is not spoken of.
"""

from __future__ import annotations

from typing import Any, Final

from warpforge.errors import Invalid
from warpforge.polytope.nouns import Value
from warpforge.polytope.types.language import Basic, Default, Either, Enum, Fields, Free, Items, Maybe, Type, parse_type

_TEXT: Final = {"type": "string"}
_PORT: Final = {
    "type": "object",
    "properties": {
        "port": {"type": "integer"},
        "protocol": {"enum": ["tcp", "udp", "http", "https"]},
        "label": _TEXT,
        "expose-as": {"type": "integer"},
    },
}
_BASICS: Final[dict[str, dict[str, Any]]] = {
    "any": {},
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "num": {"type": "number"},
    "map": {"type": "object"},
    "dataset-sink": {},
    "service-ref": {},
    "absolute-path": {"type": "string", "pattern": "^/"},
    "url-path": {"type": "string", "pattern": "^/"},
    "env-var": {"type": "object", "properties": {"name": _TEXT, "value": {}}, "required": ["name"]},
    "mount-source": {
        "type": "object",
        "properties": {"type": {"enum": ["host", "repo", "string", "volume", "dataset"]}},
        "required": ["type"],
    },
    "service-spec": {
        "type": "object",
        "properties": {"id": _TEXT, "ports": {"type": "array", "items": _PORT}},
        "required": ["id", "ports"],
    },
}


def describe_type(written: Value) -> dict[str, Any]:
    """The schema of a type expression; of one that is none, any value's."""
    try:
        return _describe(_inner(parse_type(written)))
    except Invalid:
        return {}


def _inner(kind: Type) -> Type:
    """An argument may be left out, instead of being null."""
    return _inner(kind.of) if isinstance(kind, Maybe) else kind


def _describe(kind: Type) -> dict[str, Any]:
    match kind:
        case Basic():
            return _BASICS.get(kind.name, _TEXT)
        case Items():
            return {"type": "array", "items": _describe(kind.of)}
        case Fields():
            properties = {name: _describe(_inner(inner)) for name, inner in kind.of.items()}
            required = [name for name, inner in kind.of.items() if not isinstance(inner, Maybe | Default)]
            return {"type": "object", "properties": properties} | ({"required": required} if required else {})
        case Free():
            return {"type": "object", "additionalProperties": _describe(kind.value)}
        case Maybe():
            return {"anyOf": [_describe(kind.of), {"type": "null"}]}
        case Default():
            return {**_describe(_inner(kind.of)), "default": kind.value}
        case Either():
            return {"anyOf": [_describe(option) for option in kind.options]}
        case Enum():
            return {"enum": list(kind.values)}
    return {"type": "string", "pattern": f"^(?:{kind.pattern})$"}
