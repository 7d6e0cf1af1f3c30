"""Limits of what a step may use: given by people and workspaces, never by a document that has an id.

``config/limits.json`` of a workspace holds ``{"limits.v1": {...}}`` with the members ``defaults``, ``steps`` (by name,
or by path for a step of a subplot) and ``modules`` (by name, each with ``defaults`` and ``steps``), all optional. What
says more of a step goes before what says less: a module's step, a step, a module, the defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from warpforge.errors import Invalid

from .findings import Place
from .reading import Reading
from .units import parse_duration, parse_size

Limits = dict[str, float]  # by name, in seconds, bytes or numbers; 0: none

NONE: Final = "none"
_GROUP: Final = frozenset(("defaults", "steps"))
_WHOLE: Final = frozenset(("defaults", "steps", "modules"))


def _parse_count(text: str) -> int:
    if not text.isdigit():
        raise Invalid("invalid", f"{text!r} is no number", value=text)
    return int(text)


# name -> how it is spelled, and the least that lets anything run
NAMES: Final[dict[str, tuple[Callable[[str], float], float]]] = {
    "time": (parse_duration, 0.001),
    "total": (parse_duration, 0.001),  # of all steps of one command together
    "memory": (parse_size, 32_000_000),
    "pids": (_parse_count, 4),
    "disk": (parse_size, 1_000_000),
    "output": (parse_size, 1),
    "gather": (parse_size, 1),
}


class LimitGroup(msgspec.Struct, frozen=True):
    """What holds for all steps, and for some."""

    defaults: Limits = {}
    steps: dict[str, Limits] = {}

    def for_step(self, path: tuple[str, ...]) -> Limits:
        """What is said of this very step."""
        return self.steps.get("/".join(path)) or self.steps.get(path[-1] if path else "") or {}


class LimitTable(msgspec.Struct, frozen=True):
    """A workspace's limits."""

    everywhere: LimitGroup = LimitGroup()
    modules: dict[str, LimitGroup] = {}

    def for_step(self, module: str, path: tuple[str, ...]) -> Limits:
        """The limits of one step, the most particular word of each."""
        own = self.modules.get(module, LimitGroup())
        return {**self.everywhere.defaults, **own.defaults, **self.everywhere.for_step(path), **own.for_step(path)}


def parse_limit(name: str, text: str) -> float:
    """One limit; ``none`` lifts it. Errors: ``invalid``."""
    if name not in NAMES:
        raise Invalid("invalid", f"there is no limit {name!r}: there are {', '.join(NAMES)}", value=name)
    if text == NONE:
        return 0
    parse, least = NAMES[name]
    value = parse(text)
    if value < least:
        raise Invalid("invalid", f"the limit {name}={text} is too small for anything to run: at least {least:g}")
    return value


def read_limits(reading: Reading, value: Any, place: Place) -> LimitTable:
    members = reading.fields(value, place, frozenset(), _WHOLE)
    at = (place, "modules")
    modules = {
        name: _read_group(reading, reading.fields(group, (at, name), frozenset(), _GROUP), (at, name))
        for name, group in reading.mapping(members.get("modules", {}), at).items()
    }
    return LimitTable(_read_group(reading, members, place), modules)


def _read_group(reading: Reading, members: dict[str, Any], place: Place) -> LimitGroup:
    at = (place, "steps")
    steps = reading.mapping(members.get("steps", {}), at)
    return LimitGroup(
        _read_some(reading, members.get("defaults", {}), (place, "defaults")),
        {name: _read_some(reading, limits, (at, name)) for name, limits in steps.items()},
    )


def _read_some(reading: Reading, value: Any, place: Place) -> Limits:
    found: Limits = {}
    for name, text in reading.mapping(value, place).items():
        spelled = str(text) if type(text) is int else reading.text(text, (place, name))
        try:
            found[name] = parse_limit(name, spelled)
        except Invalid as error:
            reading.refuse((place, name), error.message)
    return found
