"""Reading plain values against a schema: every fault is noted with its place, and reading goes on.

A method gives the value when it fits, and a stand-in of the right type when it does not: what is made from stand-ins
is never handed out, since a reading with findings ends in an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec import UNSET, UnsetType

from warpforge.errors import WarpforgeError

from .atoms import FilterMap
from .findings import LIMIT, SCHEMA, UNKNOWN_FIELD, VERSION, WAREID, Finding, Place, pointer
from .plaintext import INT_LIMIT

_NONE: Final[frozenset[str]] = frozenset()

T = TypeVar("T")

_JSON_NAMES: Final = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
    type(None): "null",
}


class Reading:
    """One pass over one document; ``findings`` gathers what is wrong."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._atoms: dict[Any, Any] = {}

    def refuse(self, place: Place, message: str, reason: str = SCHEMA) -> None:
        self.findings.append(Finding(pointer(place), message, reason))

    def fields(self, value: Any, place: Place, required: frozenset[str], optional: frozenset[str]) -> dict[str, Any]:
        """An object with exactly these members; missing and unknown ones are noted."""
        if type(value) is not dict:
            self._wrong(value, place, "an object")
            return {}
        keys = value.keys()
        if keys == required:
            return value
        if not required <= keys:
            for name in sorted(required - keys):
                self.refuse(place, f"the field {name!r} is missing")
        if len(keys) > len(required) and not optional.issuperset(keys - required):
            for name in keys - required - optional:
                self.refuse((place, name), f"unknown field {name!r}", UNKNOWN_FIELD)
        return value

    def capsule(self, value: Any, place: Place, family: str) -> tuple[Any, Place] | None:
        """What is in the capsule ``family.v1``, the only member of an object; None when it is not there."""
        key = f"{family}.v1"
        if type(value) is dict and key not in value:
            newer = [other for other in value if other.rpartition(".v")[0] == family]
            if newer:
                self.refuse((place, newer[0]), f"{newer[0]} is not known here: this warpforge reads {key}", VERSION)
                return None
        members = self.fields(value, place, frozenset((key,)), _NONE)
        return (members[key], (place, key)) if key in members else None

    def mapping(self, value: Any, place: Place) -> dict[str, Any]:
        """An object with any members."""
        if type(value) is dict:
            return value
        self._wrong(value, place, "an object")
        return {}

    def text(self, value: Any, place: Place) -> str:
        if type(value) is str:
            return value
        self._wrong(value, place, "a string")
        return ""

    def texts(self, value: Any, place: Place) -> tuple[str, ...]:
        """An array of strings."""
        if type(value) is not list:
            self._wrong(value, place, "an array of strings")
            return ()
        for number, item in enumerate(value):
            if type(item) is not str:
                self._wrong(item, (place, number), "a string")
        return tuple(value)

    def number(self, value: Any, place: Place, least: int = 0) -> int:
        if type(value) is not int:
            self._wrong(value, place, "a whole number")
            return 0
        if not least <= value <= INT_LIMIT:
            self.refuse(place, f"the number is not between {least} and 2^53", LIMIT)
        return value

    def flag(self, value: Any, place: Place) -> bool:
        if type(value) is not bool:
            self._wrong(value, place, "true or false")
            return False
        return value

    def atom(self, parse: Callable[[str], T], value: Any, place: Place) -> T:
        """A string that ``parse`` takes. The same string parsed the same way is parsed once."""
        if type(value) is not str:
            self._wrong(value, place, "a string")
            return None  # type: ignore[return-value]
        known = self._atoms.get((parse, value))
        if known is not None:
            return known  # type: ignore[no-any-return]
        try:
            known = self._atoms[parse, value] = parse(value)
        except WarpforgeError as error:
            self.refuse(place, error.message, WAREID if error.code.endswith("wareid-invalid") else SCHEMA)
        return known  # type: ignore[return-value]

    def optional(
        self, read: Callable[[Any, Place], T], members: dict[str, Any], name: str, place: Place
    ) -> T | UnsetType:
        """A member that may be absent; null is not absence."""
        if name not in members:
            return UNSET
        return read(members[name], (place, name))

    def string_map(self, value: Any, place: Place) -> dict[str, str]:
        members = self.mapping(value, place)
        for key, item in members.items():
            if type(item) is not str:
                self._wrong(item, (place, key), "a string")
        return members

    def filters(self, value: Any, place: Place) -> FilterMap:
        return FilterMap.of(self.string_map(value, place))

    def _wrong(self, value: Any, place: Place, wanted: str) -> None:
        reason = LIMIT if type(value) is float else SCHEMA
        self.refuse(place, f"{wanted} is wanted here, found {_JSON_NAMES.get(type(value), 'something else')}", reason)
