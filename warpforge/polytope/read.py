"""A document of any dialect -> a PolytopeFile, and everything that is wrong with it.

The dialects: lists of specs with ``id`` (also in the older EDN form, where ``:params`` of a module are its arguments);
the ``tools:`` map with ``include:``; and maps from id to spec, as beginners write them. They may be mixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from warpforge.polytope.issues import SCAFFOLD, Issue, Level, refuse
from warpforge.polytope.nouns import (
    CONDITIONS,
    After,
    Include,
    Module,
    On,
    Parameter,
    Places,
    PolytopeFile,
    Step,
    Template,
    Trigger,
    Value,
    Way,
)
from warpforge.polytope.text.document import Document, load_document
from warpforge.polytope.types.language import is_type

ID: Final = re.compile(r"[a-z0-9_-]+")
REFERENCE: Final = re.compile(r"[^\s!{}]+(?:![^\s!{}]+)?|![^\s!{}]+")

_FILE: Final = frozenset(("modules", "templates", "triggers", "tools", "include", "instructions", "mcp", "info"))
_MODULE: Final = frozenset(
    ("id", "name", "info", "default?", "default", "api-version", "params", "inputs", "module", "args", "parameters",
     "code", "steps", "run", "run-steps", "await", "tool")
)  # fmt: skip
_STEP: Final = frozenset(
    ("id", "name", "info", "module", "tool", "template", "code", "call", "args", "params", "parameters", "run-when",
     "after", "after-condition")
)  # fmt: skip
_PARAMETER: Final = frozenset(("id", "type", "info", "name", "default"))

Members = dict[str, Value]


def load_file(data: bytes, path: str) -> tuple[PolytopeFile, tuple[Issue, ...]]:
    """A file and what there is to say about it: its issues of level ``error`` were passed over as far as possible.

    Errors: ``serialization`` when it is no text of its kind; ``module-invalid`` when nothing can be made of it.
    """
    return read_document(load_document(data, path))


def read_document(document: Document) -> tuple[PolytopeFile, tuple[Issue, ...]]:
    """As ``load_file``, of a text already read."""
    return _Reader(document).file()


def load_strict(data: bytes, path: str) -> PolytopeFile:
    """A file with nothing wrong in it. Errors: ``serialization``, ``module-invalid`` with all issues."""
    file, issues = load_file(data, path)
    wrong = [issue for issue in issues if issue.level == "error"]
    if wrong:
        refuse("module-invalid", wrong)
    return file


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._issues: list[Issue] = []

    def file(self) -> tuple[PolytopeFile, tuple[Issue, ...]]:
        value = self._document.value
        if value is None:
            value = {}
        if not isinstance(value, dict):
            refuse(
                "module-invalid", [Issue(self._document.place(()), "a map was expected: modules, templates, tools ...")]
            )
        self._unknown(value, _FILE, ())
        modules: list[Module] = []
        templates: list[Template] = []
        for key in ("modules", "tools", "templates"):
            for spec, way, own in self._specs(value, key):
                made = self._module_or_template(spec, way, own, is_template=key != "modules")
                (modules if isinstance(made, Module) else templates).append(made)  # type: ignore[arg-type]
        file = PolytopeFile(
            path=self._document.name,
            modules=tuple(modules),
            templates=tuple(templates),
            triggers=tuple(self._trigger(*one) for one in self._specs(value, "triggers")),
            include=tuple(self._includes(value.get("include"))),
            instructions=self._text(value, "instructions", ()),
            tools_only=self._names(self._map(value.get("mcp"), ("mcp",), "mcp").get("only"), ("mcp", "only")),
            places=Places(self._document.name, self._document.places),
        )
        self._twice(file)
        return file, tuple(self._issues)

    # what everything is made of

    def _say(self, way: Way, message: str, level: Level = "error") -> None:
        self._issues.append(Issue(self._document.place(way), message, level=level))

    def _unknown(self, members: Members, known: frozenset[str], way: Way) -> None:
        for key in members:
            if key not in known:
                self._say((*way, key), f"the key {key!r} is not known here", "warning")

    def _text(self, members: Members, key: str, way: Way) -> str:
        value = members.get(key)
        if isinstance(value, dict | list):
            self._say((*way, key), f"{key} is a text")
            return ""
        return "" if value is None else spell_scalar(value)

    def _map(self, value: Value, way: Way, what: str) -> Members:
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self._say(way, f"{what}: a map was expected")
        return {}

    def _list(self, value: Value, way: Way, what: str) -> list[Value]:
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self._say(way, f"{what}: a list was expected")
        return []

    def _names(self, value: Value, way: Way) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [] if value is None else [value]
        return tuple(spell_scalar(_step_of(item)) for item in values)

    def _specs(self, file: Members, key: str) -> Iterator[tuple[Members, Way, str]]:
        """Specs, their ways and ids, of a list or of a map by id."""
        value = file.get(key)
        if isinstance(value, dict):
            for name, spec in value.items():
                yield self._map(spec, (key, name), name), (key, name), self._id(name, (key, name))
            return
        for number, spec in enumerate(self._list(value, (key,), key)):
            way = (key, number)
            members = self._map(spec, way, f"{key}[{number}]")
            name = self._text(members, "id" if "id" in members else "name", way)
            if not name:
                self._say(way, "id is missing")
            else:
                yield members, way, self._id(name, way)

    def _id(self, name: str, way: Way) -> str:
        if not ID.fullmatch(name):
            if "{{" in name or "{=" in name:
                self._issues.append(Issue(self._document.place(way), f"the id {name!r} is a placeholder", SCAFFOLD))
            else:
                self._say(way, f"the id {name!r} is not made of a-z, 0-9, _ and -", "warning")
        return name

    def _twice(self, file: PolytopeFile) -> None:
        seen: set[str] = set()
        for noun in sorted(file.nouns, key=lambda noun: noun.place):
            if noun.id in seen:
                self._issues.append(Issue(noun.place, f"the id {noun.id} is there twice"))
            seen.add(noun.id)

    # modules, tools and templates

    def _module_or_template(self, spec: Members, way: Way, name: str, *, is_template: bool) -> Module | Template:
        self._unknown(spec, _MODULE, way)
        steps = next((key for key in ("run", "steps", "run-steps") if key in spec), "")
        if steps or (is_template and not any(key in spec for key in ("module", "tool", "code"))):
            return self._template(spec, way, name, steps)
        return self._module(spec, way, name)

    def _template(self, spec: Members, way: Way, name: str, steps: str) -> Template:
        if not steps:
            self._say(way, f"{name} has no run", "warning")
        return Template(
            id=name,
            info=self._text(spec, "info", way),
            params=self._parameters(spec, way),
            run=self._steps(spec.get(steps), (*way, steps)) if steps else (),
            waits_for=self._names(spec.get("await"), (*way, "await")),
            place=self._document.place(way),
        )

    def _module(self, spec: Members, way: Way, name: str) -> Module:
        extends = self._reference(spec, "tool" if "tool" in spec else "module", way)
        code = self._text(spec, "code", way)
        if extends and code:
            self._say(way, f"{name} has both module and code")
        if not extends and not code and self._document.name.startswith("/"):
            self._say(way, f"{name} has neither module nor code")
        params = spec.get("params")
        key = "parameters" if "parameters" in spec else "args"
        args = self._map(spec.get(key), (*way, key), key)
        declared = spec
        if isinstance(params, dict) and extends and not _declares(params):  # an older way to write arguments
            args, key = {**params, **args}, key if args else "params"
            declared = {name: value for name, value in spec.items() if name != "params"}
        return Module(
            id=name,
            info=self._text(spec, "info", way),
            params=self._parameters(declared, way),
            module=extends,
            args=args,
            code=code,
            is_default=(spec.get("default?") or spec.get("default")) is True,
            place=self._document.place(way),
            way=(*way, key),
        )

    def _reference(self, spec: Members, key: str, way: Way) -> str:
        text = self._text(spec, key, way)
        if text and not REFERENCE.fullmatch(text):
            self._say((*way, key), f"{text!r} is no reference to a module")
        return text

    def _parameters(self, spec: Members, way: Way) -> tuple[Parameter, ...]:
        key = "inputs" if "inputs" in spec else "params"
        value, at = spec.get(key), (*way, key)
        if isinstance(value, dict):
            return tuple(self._parameter(inner, (*at, name), name) for name, inner in value.items())
        made = []
        for number, inner in enumerate(self._list(value, at, key)):
            members = self._map(inner, (*at, number), f"{key}[{number}]")
            name = self._text(members, "id" if "id" in members else "name", (*at, number))
            if name:
                made.append(self._parameter(members, (*at, number), name))
            else:
                self._say((*at, number), "id is missing")
        return tuple(made)

    def _parameter(self, value: Value, way: Way, name: str) -> Parameter:
        if not isinstance(value, dict):  # only its type
            return Parameter(name, "any" if value is None else value, place=self._document.place(way))
        self._unknown(value, _PARAMETER, way)
        kind = value.get("type", "any")
        if "default" in value:
            kind = ["default", kind, value["default"]]
        if not is_type(kind):
            self._say((*way, "type"), f"{name}: this is no type: {kind!r}"[:200])
        return Parameter(
            name, kind, self._text(value, "info", way), self._text(value, "name", way), self._document.place(way)
        )

    # steps

    def _steps(self, value: Value, way: Way) -> tuple[Step, ...]:
        if isinstance(value, str | dict):  # one step, written without a list
            value = [value]
        made: list[Step] = []
        taken: set[str] = set()
        for number, inner in enumerate(self._list(value, way, "run")):
            if inner is not None:
                made.append(self._step(inner, (*way, number), taken))
        return tuple(made)

    def _step(self, value: Value, way: Way, taken: set[str]) -> Step:
        place = self._document.place(way)
        if not isinstance(value, dict):
            text = spell_scalar(value) if not isinstance(value, list) else ""
            if text.startswith(("pt.", "#pt-")):
                return Step(id=_free("code", taken), code=text, place=place, way=way)
            if not REFERENCE.fullmatch(text):
                self._say(way, f"{value!r} is no step: a module, or a map with module, template or code"[:200])
            return Step(id=_free(default_id(text), taken), call=text, place=place, way=way)
        self._unknown(value, _STEP, way)
        called = [key for key in ("module", "tool", "template", "code", "call") if value.get(key) is not None]
        if len(called) != 1:
            self._say(way, "a step has one of module, tool, template and code")
        what = called[0] if called else ""
        text = self._text(value, what, way) if what else ""
        name = self._text(value, "id" if "id" in value else "name", way)
        if name and name in taken:
            self._say(way, f"the step {name} is there twice")
        if name:
            taken.add(name)
        key = next((key for key in ("args", "parameters", "params") if key in value), "args")
        return Step(
            id=name or _free("code" if what == "code" else default_id(text), taken),
            call=text if what in ("module", "tool", "call") else "",
            template=text if what == "template" else "",
            code=text if what == "code" else "",
            args=self._map(value.get(key), (*way, key), key),
            after=self._after(value, way),
            place=place,
            way=(*way, key),
        )

    def _after(self, step: Members, way: Way) -> tuple[After, ...]:
        condition = step.get("after-condition")
        after, at = step.get("after"), (*way, "after")
        when = step.get("run-when")
        if isinstance(when, dict):
            after, condition, at = when.get("after"), when.get("after-condition", condition), (*way, "run-when")
        elif when is not None:
            after, at = when, (*way, "run-when")
        made = []
        for item in after if isinstance(after, list) else [] if after is None else [after]:
            own = item.get("condition", item.get("after-condition", condition)) if isinstance(item, dict) else condition
            if own not in (None, *CONDITIONS):
                self._say(at, f"{own!r} is no condition: success, always or failed")
                own = None
            name = spell_scalar(_step_of(item))
            made.append(After(name, own or "success"))
        return tuple(made)

    # triggers and includes

    def _trigger(self, spec: Members, way: Way, name: str) -> Trigger:
        self._unknown(spec, frozenset(("id", "name", "info", "on", "template")), way)
        value = spec.get("template")
        template: str | Template
        if isinstance(value, dict):
            inner = (*way, "template")
            template = self._template(value, inner, self._text(value, "id", inner) or name, "run")
        else:
            template = self._text(spec, "template", way)
        on = spec.get("on")
        return Trigger(
            id=name,
            info=self._text(spec, "info", way),
            on=tuple(
                self._on(inner, (*way, "on", number))
                for number, inner in enumerate(on if isinstance(on, list) else [] if on is None else [on])
            ),
            template=template,
            place=self._document.place(way),
        )

    def _on(self, value: Value, way: Way) -> On:
        members = self._map(value, way, "on")
        self._unknown(members, frozenset(("schedule", "events", "when")), way)
        return On(
            self._text(members, "schedule", way),
            self._names(members.get("events"), way),
            self._text(members, "when", way),
        )

    def _includes(self, value: Value) -> Iterator[Include]:
        for number, inner in enumerate(
            [value] if isinstance(value, str | dict) else self._list(value, ("include",), "include")
        ):
            way: Way = ("include", number)
            place = self._document.place(way)
            if isinstance(inner, dict):
                self._unknown(inner, frozenset(("path", "repo")), way)
                made = Include(self._text(inner, "path", way), self._text(inner, "repo", way), place)
            else:
                text = spell_scalar(inner) if not isinstance(inner, list) else ""
                made = Include(repo=text, place=place) if is_repository(text) else Include(text, place=place)
            if made.path or made.repo:
                yield made
            else:
                self._say(way, "an include names a path or a repo")


def is_repository(text: str) -> bool:
    """``gh:owner/name``, and what git clones."""
    return bool(re.match(r"(?:gh|gl|github|gitlab):|[a-z+]+://|git@", text))


def default_id(reference: str) -> str:
    """The id of a step that names none: that of what it calls."""
    head, _, sub = reference.partition("!")
    return sub or head.partition(":")[0].partition("@")[0].rstrip("/").rpartition("/")[2] or "step"


def spell_scalar(value: Value) -> str:
    """As it would be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _step_of(value: Value) -> Value:
    """``{step: x}``, or ``x``."""
    return value.get("step", value.get("after")) if isinstance(value, dict) else value


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found


def _declares(params: Members) -> bool:
    """Whether a map under ``params`` declares parameters: each has a type, and nothing that only a value has."""
    return bool(params) and all(
        isinstance(value, dict) and "type" in value and value.keys() <= _PARAMETER and is_type(value["type"])
        for value in params.values()
    )
