"""Type expressions, as they are written in YAML, JSON or EDN -> types."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

import msgspec

from warpforge.errors import Invalid
from warpforge.polytope.nouns import Value

BASIC: Final = frozenset(
    (
        "any", "str", "bool", "int", "num", "id", "uid", "timestamp", "absolute-path", "code", "cron", "data-size",
        "dataset-ref", "dataset-sink", "docker-image", "duration", "env-var", "http-method", "instance-type",
        "location-ref", "map", "module-ref", "mount-source", "project-ref", "repo-ref", "service-ref", "service-spec",
        "template-ref", "url-path",
    )
)  # fmt: skip
# other words for them, seen in files
_SAME: Final = {
    "string": "str", "integer": "int", "boolean": "bool", "number": "num", "float": "num", "double": "num",
    "absolute-dir-path": "absolute-path", "cron-expr": "cron", "service": "service-spec", "secret": "str",
}  # fmt: skip
_FREE_KEYS: Final = frozenset(("str", "any", "int", "num"))
_DEPTH_LIMIT: Final = 40


class Basic(msgspec.Struct, frozen=True):
    name: str


class Items(msgspec.Struct, frozen=True):
    of: Type


class Fields(msgspec.Struct, frozen=True):
    of: dict[str, Type]


class Free(msgspec.Struct, frozen=True):
    key: Type
    value: Type


class Maybe(msgspec.Struct, frozen=True):
    of: Type


class Default(msgspec.Struct, frozen=True):
    """``value`` is as written: it may hold references."""

    of: Type
    value: Value


class Either(msgspec.Struct, frozen=True):
    options: tuple[Type, ...]


class Enum(msgspec.Struct, frozen=True):
    values: tuple[Value, ...]


class Regex(msgspec.Struct, frozen=True):
    pattern: str


Type = Basic | Items | Fields | Free | Maybe | Default | Either | Enum | Regex


def parse_type(written: Value) -> Type:
    """Errors: ``module-invalid``, reason ``type``."""
    return _parse(written, 0)


def is_type(written: Value) -> bool:
    try:
        parse_type(written)
    except Invalid:
        return False
    return True


def _fail(message: str) -> Invalid:
    return Invalid("module-invalid", message, reason="type")


def _parse(written: Value, depth: int) -> Type:
    if depth > _DEPTH_LIMIT:
        raise _fail(f"a type nested more than {_DEPTH_LIMIT} deep")
    if isinstance(written, str):
        name = written.removeprefix(":")
        name = _SAME.get(name, name)
        if name not in BASIC:
            near = get_close_matches(name, BASIC, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(BASIC))}"
            raise _fail(f"{written!r} is no type: {hint}")
        return Basic(name)
    if isinstance(written, dict):
        return _parse_map(written, depth)
    if isinstance(written, list) and written:
        return _parse_list(written, depth)
    raise _fail(f"{written!r} is no type")


def _parse_map(written: dict[str, Value], depth: int) -> Type:
    if len(written) == 1:
        ((key, value),) = written.items()
        if key in _FREE_KEYS:
            return Free(_parse(key, depth + 1), _parse(value, depth + 1))
    return Fields({key.removeprefix(":"): _parse(value, depth + 1) for key, value in written.items()})


def _parse_list(written: list[Value], depth: int) -> Type:
    head = written[0].removeprefix(":") if isinstance(written[0], str) else ""
    rest = written[1:]
    counts = {"maybe": (1, 1), "default": (2, 2), "either": (1, 99), "enum": (1, 999), "regex": (1, 1), "map": (2, 2)}
    if head in counts and not (head == "map" and not rest):
        least, most = counts[head]
        if not least <= len(rest) <= most:
            raise _fail(f"[{head}, ...] takes {least if least == most else f'at least {least}'} more")
        return _parse_compound(head, rest, depth + 1)
    if head in ("list", "set") and len(rest) == 1:
        return Items(_parse(rest[0], depth + 1))
    if rest:
        raise _fail(
            f"{written!r} is no type: a list has one type, or begins with maybe, default, either, enum, regex or map"[
                :300
            ]
        )
    return Items(_parse(written[0], depth + 1))


def _parse_compound(head: str, rest: list[Value], depth: int) -> Type:
    if head == "maybe":
        return Maybe(_parse(rest[0], depth))
    if head == "default":
        return Default(_parse(rest[0], depth), rest[1])
    if head == "either":
        return Either(tuple(_parse(item, depth) for item in rest))
    if head == "map":
        return Free(_parse(rest[0], depth), _parse(rest[1], depth))
    if head == "regex":
        if not isinstance(rest[0], str):
            raise _fail("[regex, ...] takes a pattern")
        return Regex(rest[0])
    values = rest[0] if len(rest) == 1 and isinstance(rest[0], list) else rest
    if any(isinstance(value, list | dict) for value in values):
        raise _fail("[enum, ...] takes plain values")
    return Enum(tuple(values))


def spell_type(kind: Type) -> str:
    """As it would be written in one line."""
    if isinstance(kind, Basic):
        return kind.name
    if isinstance(kind, Items):
        return f"[{spell_type(kind.of)}]"
    if isinstance(kind, Fields):
        return "{" + ", ".join(f"{key}: {spell_type(inner)}" for key, inner in kind.of.items()) + "}"
    if isinstance(kind, Free):
        return f"[map, {spell_type(kind.key)}, {spell_type(kind.value)}]"
    if isinstance(kind, Maybe):
        return f"[maybe, {spell_type(kind.of)}]"
    if isinstance(kind, Default):
        return f"[default, {spell_type(kind.of)}, {spell_value(kind.value)}]"
    if isinstance(kind, Either):
        return f"[either, {', '.join(map(spell_type, kind.options))}]"
    if isinstance(kind, Enum):
        return f"[enum, {', '.join(map(spell_value, kind.values))}]"
    return f"[regex, {spell_value(kind.pattern)}]"


def spell_value(value: Value) -> str:
    """A value in one line, as YAML would hold it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {spell_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spell_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str) and (
        not value or value != value.strip() or any(char in value for char in "\n,[]{}#:\"'")
    ):
        return msgspec.json.encode(str(value)).decode()
    return str(value)


def default_of(kind: Type) -> Value:
    """What a parameter is when nothing is given; null for those that must be given."""
    return kind.value if isinstance(kind, Default) else None


def is_required(kind: Type) -> bool:
    return not isinstance(kind, Maybe | Default) and kind != Basic("any")
