"""What a Polytope file says, in one form for all dialects: frozen values, no I/O.

Values that references or code may stand in are left as they were written (``Value``): only expansion evaluates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Way = tuple[str | int, ...]  # keys and indices, from the root of a file
Condition = Literal["success", "always", "failed"]

CONDITIONS: Final[tuple[Condition, ...]] = ("success", "always", "failed")


class Place(NamedTuple):
    """Where something was written: a file, and a line and a column from 1 (0: not known)."""

    path: str = ""
    line: int = 0
    column: int = 0


NOWHERE: Final = Place()


class Places:
    """Where every part of a file was written. Not a part of what the file says: all are alike."""

    __slots__ = ("_blocks", "_name", "_of")

    def __init__(
        self, name: str = "", of: Mapping[Way, tuple[int, int]] | None = None, blocks: Mapping[Way, int] | None = None
    ) -> None:
        self._name = name
        self._of = of or {}
        self._blocks = blocks or {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places)

    def __hash__(self) -> int:
        return 0

    def first_line(self, way: Way) -> int:
        """The line at which a text begins that is written line by line as it is; 0 for others."""
        line: int = self._blocks.get(way, 0)
        return line

    def find(self, way: Way) -> Place:
        """The place of a part, or of the nearest thing around it."""
        while way and way not in self._of:
            way = way[:-1]
        return Place(self._name, *self._of.get(way, (0, 0)))


class Parameter(msgspec.Struct, frozen=True):
    """``type`` is the type expression as written."""

    id: str
    type: Value = "any"
    info: str = ""
    name: str = ""
    place: Place = Place()


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """Either ``module`` (with ``args``), or ``code``, which keeps its prefix; a built-in with neither is a primitive.

    ``way`` leads to the arguments in the file.
    """

    id: str
    info: str = ""
    params: tuple[Parameter, ...] = ()
    module: str = ""
    args: dict[str, Value] = {}
    code: str = ""
    is_default: bool = False
    place: Place = Place()
    way: Way = ()


class After(msgspec.Struct, frozen=True):
    """This step begins once that one has ended so."""

    step: str
    condition: Condition = "success"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``call`` (a module's, or a template's, reference), ``template`` (its id) and ``code``.

    ``way`` leads to the arguments in the file.
    """

    id: str
    call: str = ""
    template: str = ""
    code: str = ""
    args: dict[str, Value] = {}
    after: tuple[After, ...] = ()
    place: Place = Place()
    way: Way = ()


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """``waits_for``: the steps after which a tool has returned (none: all of them)."""

    id: str
    info: str = ""
    params: tuple[Parameter, ...] = ()
    run: tuple[Step, ...] = ()
    waits_for: tuple[str, ...] = ()
    place: Place = Place()


class On(msgspec.Struct, frozen=True):
    """What a trigger waits for: a cron schedule, or events; ``when`` is code that must be true."""

    schedule: str = ""
    events: tuple[str, ...] = ()
    when: str = ""


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """``template``: an id, a template written in place, or code that gives one of these."""

    id: str
    info: str = ""
    on: tuple[On, ...] = ()
    template: str | Template = ""
    place: Place = Place()


class Include(msgspec.Struct, frozen=True):
    """Another file whose modules and templates can be used here: a path relative to this file, or a repository."""

    path: str = ""
    repo: str = ""
    place: Place = Place()


class PolytopeFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file. ``path`` is absolute; for a built-in's it is its name, as ``polytope/postgres``.

    A tool is a template here, and so is a module that consists of steps. ``is_hermetic``: all containers that can be
    formulas are. ``places`` leads from the way to a part of the file (keys and indices) to its line and column.
    """

    path: str
    modules: tuple[Module, ...] = ()
    templates: tuple[Template, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    include: tuple[Include, ...] = ()
    instructions: str = ""
    tools_only: tuple[str, ...] = ()
    is_hermetic: bool = False
    places: Places = Places()

    @property
    def nouns(self) -> tuple[Module | Template, ...]:
        """All that can be referred to; templates go before modules."""
        return (*self.templates, *self.modules)

    @property
    def is_builtin(self) -> bool:
        return bool(self.path) and not self.path.startswith("/")
