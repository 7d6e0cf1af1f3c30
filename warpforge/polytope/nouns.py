"""What a Polytope file says, in one form for all dialects: frozen values, no I/O.

Values that references or code may stand in are left as they were written (``Value``): only expansion evaluates them.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Condition = Literal["success", "always", "failed"]

CONDITIONS: Final[tuple[Condition, ...]] = ("success", "always", "failed")


class Place(msgspec.Struct, frozen=True):
    """Where something was written: a file, and a line and a column from 1 (0: not known)."""

    path: str = ""
    line: int = 0
    column: int = 0


class Parameter(msgspec.Struct, frozen=True):
    """``type`` is the type expression as written."""

    id: str
    type: Value = "any"
    info: str = ""
    name: str = ""
    place: Place = Place()


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """Either ``module`` (with ``args``), or ``code``. ``code`` keeps its prefix."""

    id: str
    info: str = ""
    params: tuple[Parameter, ...] = ()
    module: str = ""
    args: dict[str, Value] = {}
    code: str = ""
    is_default: bool = False
    place: Place = Place()


class After(msgspec.Struct, frozen=True):
    """This step begins once that one has ended so."""

    step: str
    condition: Condition = "success"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``call`` (a module's, or a template's, reference), ``template`` and ``code``."""

    id: str
    call: str = ""
    template: str = ""
    code: str = ""
    args: dict[str, Value] = {}
    after: tuple[After, ...] = ()
    place: Place = Place()


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
    """One file. ``path`` is absolute; "" for a built-in's."""

    path: str
    modules: tuple[Module, ...] = ()
    templates: tuple[Template, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    include: tuple[Include, ...] = ()
    instructions: str = ""
    tools_only: tuple[str, ...] = ()
