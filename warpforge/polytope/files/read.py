"""A document of any dialect -> a PolytopeFile, and everything that is wrong with it.

The dialects: lists of specs with ``id`` (also in the older EDN form, where ``:params`` of a module are its arguments);
the ``tools:`` map with ``include:``; and maps from id to spec, as beginners write them. They may be mixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from warpforge.errors import Invalid
from warpforge.polytope.files.read_steps import StepReader
from warpforge.polytope.files.reading import Members, spell_scalar
from warpforge.polytope.issues import TYPE, Issue, refuse
from warpforge.polytope.nouns import (
    Include,
    Module,
    On,
    Parameter,
    Places,
    PolytopeFile,
    Template,
    Trigger,
    Value,
    Way,
)
from warpforge.polytope.text.document import Document, load_document
from warpforge.polytope.types.language import is_type, parse_type

_FILE: Final = frozenset(
    ("modules", "templates", "triggers", "tools", "include", "instructions", "mcp", "info", "hermetic")
)
_MODULE: Final = frozenset(
    ("id", "name", "info", "default?", "default", "api-version", "params", "inputs", "module", "args", "parameters",
     "code", "steps", "run", "run-steps", "await", "tool")
)  # fmt: skip
_PARAMETER: Final = frozenset(("id", "type", "info", "name", "default"))


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


class _Reader(StepReader):
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
            is_hermetic=self._flag(value, "hermetic", ()),
            tools_only=self._names(self._map(value.get("mcp"), ("mcp",), "mcp").get("only"), ("mcp", "only")),
            places=Places(self._document.name, self._document.places, self._document.blocks),
        )
        self._twice(file)
        return file, tuple(self._issues)

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

    def _parameters(self, spec: Members, way: Way) -> tuple[Parameter, ...]:
        key = "inputs" if "inputs" in spec else "params"
        value, at = spec.get(key), (*way, key)
        if isinstance(value, dict):
            return tuple(self._parameter(inner, (*at, name), name) for name, inner in value.items())
        made: list[Parameter] = []
        for number, inner in enumerate(self._list(value, at, key)):
            members = self._map(inner, (*at, number), f"{key}[{number}]")
            name = self._text(members, "id" if "id" in members else "name", (*at, number))
            if name:
                if any(name == one.id for one in made):
                    self._say((*at, number), f"the parameter {name} is there twice")
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
        try:
            parse_type(kind)
        except Invalid as error:
            self._issues.append(Issue(self._document.place(way), f"{name}: {error.message}", TYPE))
        return Parameter(
            name, kind, self._text(value, "info", way), self._text(value, "name", way), self._document.place(way)
        )

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


def _declares(params: Members) -> bool:
    """Whether a map under ``params`` declares parameters: each has a type, and nothing that only a value has."""
    return bool(params) and all(
        isinstance(value, dict) and "type" in value and value.keys() <= _PARAMETER and is_type(value["type"])
        for value in params.values()
    )
