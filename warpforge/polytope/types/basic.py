"""The basic types: each takes a value and gives it as it is meant, or says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from warpforge.errors import Invalid
from warpforge.polytope.marks import SecretText
from warpforge.polytope.nouns import Value
from warpforge.polytope.types.cron import parse_schedule

# (value -> value), raising Wrong; ``is_exact``: nothing is to be converted
Taker = Callable[..., Value]

DURATION: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|mo|m|h|d|w|y)\s*")
SIZE: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKMGTPE]i?)?B?\s*")
_SECONDS: Final = {
    "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "mo": 2_592_000.0, "y": 31_536_000.0,
}  # fmt: skip
_FACTORS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")


class Wrong(Exception):
    """What is wrong with a value."""


def parse_duration(text: str) -> float:
    """Seconds; a month has 30 days, a year 365. Errors: Wrong."""
    match = DURATION.fullmatch(text)
    if not match:
        raise Wrong(f"{text!r} is no duration: 10ms, 30s, 5m, 2h, 1d, 1w, 1mo, 1y")
    return float(match[1]) * _SECONDS[match[2]]


def parse_size(value: str | int) -> int:
    """Bytes: 512M, 1.5Gi, 1000. Errors: Wrong."""
    match = SIZE.fullmatch(str(value))
    if not match:
        raise Wrong(f"{value!r} is no size: 512M, 1.5Gi, 1000")
    unit = match[2] or ""
    base = 1024 if unit.endswith("i") else 1000
    return int(float(match[1]) * base ** _FACTORS[unit.removesuffix("i").lower()])


def kind_of(value: Value) -> str:
    if isinstance(value, SecretText):
        return "what is a secret"
    if isinstance(value, str):
        return repr(value) if len(value) < 80 else f"the text {value[:60]!r}..."
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _any(value: Value, *, is_exact: bool) -> Value:
    return value


def _str(value: Value, *, is_exact: bool) -> Value:
    if isinstance(value, str):
        return value
    if is_exact or value is None or isinstance(value, dict | list):
        raise Wrong(f"text was expected, not {kind_of(value)}")
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _int(value: Value, *, is_exact: bool) -> Value:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not is_exact:
        if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9]{1,30}\s*", value):
            return int(value)
        if isinstance(value, float) and value.is_integer():
            return int(value)
    raise Wrong(f"a whole number was expected, not {kind_of(value)}")


def _num(value: Value, *, is_exact: bool) -> Value:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if (
        not is_exact
        and isinstance(value, str)
        and re.fullmatch(r"\s*[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?\s*", value)
    ):
        return float(value) if not value.strip().lstrip("+-").isdigit() else int(value)
    raise Wrong(f"a number was expected, not {kind_of(value)}")


def _bool(value: Value, *, is_exact: bool) -> Value:
    if isinstance(value, bool):
        return value
    if not is_exact and value in ("true", "false"):
        return value == "true"
    raise Wrong(f"true or false was expected, not {kind_of(value)}")


def _matching(pattern: str, what: str) -> Taker:
    compiled = re.compile(pattern)

    def take(value: Value, *, is_exact: bool) -> Value:
        text = _str(value, is_exact=is_exact)
        if not isinstance(text, str) or not compiled.fullmatch(text):
            raise Wrong(f"{kind_of(value)} is no {what}")
        return text

    return take


def _by(parse: Callable[[Any], object]) -> Taker:
    """Text that somebody else reads later: here it is only tried."""

    def take(value: Value, *, is_exact: bool) -> Value:
        try:
            parse(_str(value, is_exact=False))
        except Invalid as error:
            raise Wrong(error.message) from error
        return value

    return take


def _map(value: Value, *, is_exact: bool) -> Value:
    if not isinstance(value, dict):
        raise Wrong(f"a map was expected, not {kind_of(value)}")
    return value


def _text_or_map(value: Value, *, is_exact: bool) -> Value:
    return value if isinstance(value, dict) else _str(value, is_exact=is_exact)


BASICS: Final[dict[str, Taker]] = {
    "any": _any,
    "str": _str,
    "int": _int,
    "num": _num,
    "bool": _bool,
    "map": _map,
    "id": _matching(r"[a-z0-9_.-]+", "id (a-z, 0-9, _ and -)"),
    "uid": _matching(r"[0-9a-f]{16}", "uid (16 hexadecimal digits)"),
    "timestamp": _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)", "timestamp (ISO 8601)"),
    "absolute-path": _matching(r"(?s)/.*", "absolute path"),
    "url-path": _matching(r"/\S*", "path of a URL (/...)"),
    "docker-image": _matching(_IMAGE.pattern, "image"),
    "http-method": _matching(r"(?i)get|put|post|patch|delete|head|options", "method of HTTP"),
    "code": _str,
    "instance-type": _str,
    "module-ref": _str,
    "template-ref": _str,
    "repo-ref": _str,
    "project-ref": _str,
    "location-ref": _str,
    "dataset-ref": _str,
    "service-ref": _text_or_map,
    "dataset-sink": _text_or_map,
    "duration": _by(parse_duration),
    "data-size": _by(parse_size),
    "cron": _by(parse_schedule),
}
