"""A call -> level by level -> a leaf: a primitive or code, with values only.

Arguments are evaluated in the scope of the module that writes them, then held against the parameters of the module that
takes them; so down to what no other module describes.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

import msgspec

from warpforge.errors import Failed, Invalid
from warpforge.polytope.calls.references import code_at
from warpforge.polytope.calls.resolve import Frame, Resolver
from warpforge.polytope.code.evaluator import Code, Scope
from warpforge.polytope.code.host import kebab
from warpforge.polytope.issues import TYPE, Issue, refuse
from warpforge.polytope.marks import SecretText, mark_secrets, unmarked
from warpforge.polytope.nouns import Module, Parameter, Place, PolytopeFile, Template, Value, Way
from warpforge.polytope.types.basic import Wrong
from warpforge.polytope.types.check import Check, match_whole
from warpforge.polytope.types.language import Maybe, Type, is_required, parse_type

LEVEL_LIMIT: Final = 50


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A module or template to be run. ``args`` are values already; ``file`` is the scope of the reference (None: the
    root), ``way`` leads to the arguments in it."""

    reference: str
    args: dict[str, Value] = {}
    file: PolytopeFile | None = None
    place: Place = Place()
    way: Way = ()


class Level(msgspec.Struct, frozen=True):
    """One module on the way down, and its parameters as it saw them."""

    reference: str
    noun: Module | Template
    file: PolytopeFile
    params: dict[str, Value]


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """What a call comes down to: one of ``primitive`` (as ``container!exec``), ``code`` and ``template``.

    ``params``: what it was given, checked, with what it does not declare; ``levels``: the way down, outermost first.
    ``variables``: what its code calls module-repo-ref and the like. ``base``: the directory of the outermost file.
    ``secrets``: texts within ``params`` that nobody may see (in those of a template they are marked, too).
    """

    levels: tuple[Level, ...]
    params: dict[str, Value]
    primitive: str = ""
    code: Code | None = None
    template: Template | None = None
    variables: dict[str, Value] = {}
    base: str = ""
    secrets: frozenset[str] = frozenset()
    warnings: tuple[Issue, ...] = ()

    @property
    def file(self) -> PolytopeFile:
        """The file that the leaf itself was written in."""
        return self.levels[-1].file

    @property
    def frame(self) -> Frame:
        """The scope of its code or its steps."""
        return Frame(self.file, self.params)


def expand(call: Call, resolver: Resolver) -> Leaf:
    """Errors: ``missing`` (a module, or values not stored), ``invalid-argument`` (arguments, with all issues),
    ``module-invalid`` (modules that extend one another in a circle), ``generator-failed`` (code)."""
    levels: list[Level] = []
    warnings: list[Issue] = []
    while True:
        found = resolver.library.find(call.reference, call.file, place=call.place)
        _check_depth(levels, call, found.file, found.noun)
        params = bind(found.noun, found.file, call, resolver, warnings)
        levels.append(Level(call.reference, found.noun, found.file, params))
        noun = found.noun
        frame = Frame(found.file, params)
        if isinstance(noun, Template) or not noun.module:
            if isinstance(noun, Module) and not noun.code and not found.file.is_builtin:
                refuse("module-invalid", [Issue(noun.place, f"{noun.id} has neither module nor code")])
            resolver.demand_nothing_missing()
            return _leaf(levels, resolver, warnings)
        args = resolver.resolve(noun.args, frame, noun.way)
        assert isinstance(args, dict)
        call = Call(reference=noun.module, args=args, file=found.file, place=noun.place, way=noun.way)


def _leaf(levels: list[Level], resolver: Resolver, warnings: list[Issue]) -> Leaf:
    last = levels[-1]
    noun = last.noun
    code = None
    if isinstance(noun, Module) and noun.code:
        code = code_at(noun.code, last.file, (*noun.way[:-1], "code") if noun.way else (), noun.place)
    is_primitive = isinstance(noun, Module) and not noun.code
    return Leaf(
        levels=tuple(levels),
        params=last.params if isinstance(noun, Template) else unmarked_params(last.params),
        primitive=primitive_name(last.file, noun.id) if is_primitive else "",
        code=code,
        template=noun if isinstance(noun, Template) else None,
        variables=resolver.variables(Frame(last.file)),
        base=resolver.base(next((level.file for level in levels if not level.file.is_builtin), None)),
        secrets=frozenset(resolver.secrets),
        warnings=tuple(warnings),
    )


def unmarked_params(params: dict[str, Value]) -> dict[str, Value]:
    """As whoever runs the leaf wants them: plain, but for what is not known yet."""
    return {name: unmarked(value) for name, value in params.items()}


def primitive_name(file: PolytopeFile, name: str) -> str:
    """``container``, ``container!exec``"""
    whole = file.path.rpartition("/")[2]
    return whole if whole == name else f"{whole}!{name}"


def _check_depth(levels: list[Level], call: Call, file: PolytopeFile, noun: Module | Template) -> None:
    path = " -> ".join([*(level.reference for level in levels), call.reference])
    if any(level.noun is noun or (level.file.path == file.path and level.noun.id == noun.id) for level in levels):
        refuse("module-invalid", [Issue(call.place, f"modules extend one another in a circle: {path}")])
    if len(levels) >= LEVEL_LIMIT:
        refuse("module-invalid", [Issue(call.place, f"more than {LEVEL_LIMIT} modules extend one another: {path}")])


def bind(
    noun: Module | Template, file: PolytopeFile, call: Call, resolver: Resolver, warnings: list[Issue]
) -> dict[str, Value]:
    """Arguments -> parameters: checked, converted, defaults filled in; what is not declared goes on, with a warning.

    Between built-ins an argument that is required may be absent: it is null. Errors: ``invalid-argument``.
    """
    args = _spelled_as_declared(call.args, noun)
    params: dict[str, Value] = {}
    issues: list[Issue] = []
    frame = Frame(file, params)
    told = len(warnings)
    is_lenient = call.file is not None and call.file.is_builtin
    for parameter in noun.params:
        check = _Checked(parameter, frame, resolver)
        kind = _as_lenient(check.kind) if is_lenient else check.kind
        params[parameter.id] = _keep_mark(args.get(parameter.id), check.value(args.get(parameter.id), kind), resolver)
        for finding in check.findings:
            place = _place(call, (parameter.id, *finding.way))
            message = f"{call.reference}: {finding.spell(parameter.id)}"
            issue = Issue(place, message, TYPE, finding.level)
            (issues if finding.level == "error" else warnings).append(issue)
    declared = [parameter.id for parameter in noun.params]
    for name, value in args.items():
        if name not in params:
            params[name] = value
            warnings.append(Issue(_place(call, (name,)), _not_declared(call, name, declared), TYPE, "warning"))
    if issues:
        refuse("invalid-argument", [*issues, *warnings[told:]])
    return params


def _not_declared(call: Call, name: str, declared: list[str]) -> str:
    near = get_close_matches(name, declared, 1, 0.7)
    return f"{call.reference}: there is no parameter {name}" + (f": did you mean {near[0]}?" if near else "")


def _spelled_as_declared(args: dict[str, Value], noun: Module | Template) -> dict[str, Value]:
    """JavaScript may name arguments in camelCase."""
    declared = {parameter.id for parameter in noun.params}
    if all(name in declared for name in args):
        return args
    made: dict[str, Value] = {}
    for name, value in args.items():
        other = kebab(name)
        made[other if name not in declared and other in declared and other not in args else name] = value
    return made


def _place(call: Call, way: Way) -> Place:
    if call.file is not None and call.way:
        return call.file.places.find((*call.way, *way))
    return call.place


def _as_lenient(kind: Type) -> Type:
    return Maybe(kind) if is_required(kind) else kind


def _keep_mark(given: Value, taken: Value, resolver: Resolver) -> Value:
    """A secret that was converted is still one."""
    if isinstance(given, SecretText) and isinstance(taken, str):
        return SecretText(taken)
    return mark_secrets(taken, frozenset(resolver.secrets)) if resolver.secrets else taken


class _Checked(Check):
    """The check of one parameter: defaults are evaluated in the scope of its file."""

    def __init__(self, parameter: Parameter, frame: Frame, resolver: Resolver) -> None:
        super().__init__(self._match, lambda value: resolver.resolve(value, frame))
        self._resolver = resolver
        self._parameter = parameter
        self.kind = self._kind()

    def _kind(self) -> Type:
        try:
            return parse_type(self._parameter.type)
        except Invalid as error:
            refuse("module-invalid", [Issue(self._parameter.place, f"{self._parameter.id}: {error.message}", TYPE)])

    def _match(self, pattern: str, text: str) -> bool:
        """In a worker: a pattern may take for ever."""
        match_whole(pattern, "")  # whether it is one
        code = Code("clj", "(boolean (re-matches (re-pattern (:p params)) (:t params)))", self._parameter.place)
        try:
            return self._resolver.evaluator.evaluate(code, Scope({"p": pattern, "t": text})) is True
        except Failed as error:
            raise Wrong(f"the pattern {pattern!r} takes too long") from error
