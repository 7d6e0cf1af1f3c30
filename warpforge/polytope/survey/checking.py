"""Everything that can be said of files without running them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warpforge.errors import Failed, Invalid, WarpforgeError
from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.expand import Call, Leaf, expand
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.references import Reference, parse_code, parse_reference, split_text
from warpforge.polytope.calls.resolve import Resolver
from warpforge.polytope.calls.steps import JobStep, begin, plan_steps
from warpforge.polytope.code.clojure.data import SyntaxFault
from warpforge.polytope.code.clojure.evaluate import read_code
from warpforge.polytope.code.evaluator import Code, Evaluator, Scope
from warpforge.polytope.files.library import Library
from warpforge.polytope.issues import CODE, REFERENCE, SCAFFOLD, TYPE, Issue, spell
from warpforge.polytope.marks import Unknown, find_unknown
from warpforge.polytope.nouns import Module, Parameter, Place, PolytopeFile, Template, Trigger, Value, Way
from warpforge.polytope.text.document import PLACEHOLDER
from warpforge.polytope.triggers.triggers import check_triggers
from warpforge.polytope.types.language import is_required, parse_type

_ALMOST = re.compile(r"\s*(?:#pt-|pt\.)(?!(?:js|clj|py|host)\b)[a-z]+\s+\S+\s*")
_COMPILE = """
try { new Function(params.text) } catch (wrong) {
  try { new Function('return (' + params.text + ')') } catch (ignored) { throw wrong }
}
null
"""


class NoStores:
    """Nothing is stored: a dry run takes what it would be for unknown."""

    def value(self, name: str) -> str | None:
        return None

    def secret(self, name: str) -> str | None:
        return None


def check_library(library: Library, evaluator: Evaluator, *, cwd: str) -> list[Issue]:
    """All issues of all files, each once, in the order of the files and lines."""
    issues = list(library.issues)
    resolver = Resolver(library, evaluator, NoStores(), cwd=cwd, is_dry=True)
    for file in library.files:
        for noun in file.nouns:
            issues += _check_code(noun, file, evaluator)
            issues += _check_reference(noun, file, library)
            issues += _check_run(noun, file, resolver)
        for trigger in file.triggers:
            issues += _check_trigger(trigger, file, resolver)
    issues += _twice(library)
    order = {file.path: number for number, file in enumerate(library.files)}
    return sorted(
        dict.fromkeys(issues), key=lambda issue: (order.get(issue.place.path, len(order)), issue.place[1:], issue.level)
    )


def _check_reference(noun: Module | Template, file: PolytopeFile, library: Library) -> list[Issue]:
    """Also of a module whose arguments fail before anybody asks what it extends."""
    return _missing(noun.module, file, library, noun.place) if isinstance(noun, Module) else []


def _check_run(noun: Module | Template, file: PolytopeFile, resolver: Resolver) -> list[Issue]:
    """Expand it with unknown arguments: what is wrong comes out."""
    call = Call(
        reference=noun.id, args={param.id: _sample(param) for param in noun.params}, file=file, place=noun.place
    )
    found: list[Issue] = []
    try:
        leaf = expand(call, resolver)
        found += leaf.warnings
        if leaf.template is None:
            return found + _check_container(leaf, noun.id, noun.place, resolver)
        found += _check_steps(plan_steps([[call]], resolver), resolver)
    except WarpforgeError as error:
        found += issues_of(error, noun.place)
    return found


def _check_steps(steps: list[JobStep], resolver: Resolver) -> list[Issue]:
    found: list[Issue] = []
    serving: set[str] = set()
    for step in steps:
        try:
            leaf = begin(step, resolver)
        except WarpforgeError as error:
            found += issues_of(error, step.place)
            continue
        found += [*leaf.warnings, *_check_container(leaf, step.id, step.place, resolver)]
        if leaf.primitive == "container" and leaf.params.get("services") and leaf.params.get("await") is not False:
            serving.add(step.id)
    for step in steps:
        for name in sorted({after.step for after in step.after} & serving):
            message = f"{step.id} waits for the end of {name}, which serves: it ends only when it is stopped"
            found.append(Issue(step.place, message, REFERENCE, "warning"))
    return found


def _check_container(leaf: Leaf, name: str, place: Place, resolver: Resolver) -> list[Issue]:
    """What only whoever makes the container would say: ports, paths, volumes."""
    known = {param: value for param, value in leaf.params.items() if find_unknown(value) is None}
    if leaf.primitive != "container":
        return []
    try:
        facts = Facts(base=leaf.base, cwd=resolver.cwd, root=resolver.project(), home="/", step=name)
        make_container({"image": "any", **known}, facts)
    except Invalid as error:
        return [Issue(place, error.message, TYPE)]
    return []


def _sample(parameter: Parameter) -> Value:
    """Nothing, where it may be absent: defaults are checked, too."""
    try:
        return Unknown(f"pt.param {parameter.id}") if is_required(parse_type(parameter.type)) else None
    except Invalid:
        return None  # said by the reader


def issues_of(error: WarpforgeError, place: Place) -> list[Issue]:
    """What an error says, as issues."""
    found = getattr(error, "findings", ())
    if found:
        return list(found)
    reason = {"missing": REFERENCE, "generator-failed": CODE}.get(error.code.removeprefix("warpforge-error-"), TYPE)
    return [Issue(place, error.message.removeprefix(f"{spell(place)}: "), reason)]


def _check_trigger(trigger: Trigger, file: PolytopeFile, resolver: Resolver) -> Iterator[Issue]:
    try:
        yield from (Issue(trigger.place, warning, level="warning") for warning in check_triggers([trigger]))
    except WarpforgeError as error:
        yield from issues_of(error, trigger.place)
    for on in trigger.on:
        code = parse_code(on.when, trigger.place) or Code("clj", on.when, trigger.place)
        if on.when and (issue := _syntax(code, resolver.evaluator)):
            yield issue
    if isinstance(trigger.template, Template):
        for step in trigger.template.run:
            yield from _missing(step.template or step.call, file, resolver.library, step.place)
    elif not parse_code(trigger.template):
        yield from _missing(trigger.template, file, resolver.library, trigger.place)


def _missing(reference: str, file: PolytopeFile, library: Library, place: Place) -> list[Issue]:
    try:
        if reference:
            library.find(reference, file, place=place)
    except WarpforgeError as error:
        return issues_of(error, place)
    return []


def _check_code(noun: Module | Template, file: PolytopeFile, evaluator: Evaluator) -> Iterator[Issue]:
    for value, way, place in _written(noun):
        for text, inner in _with_ways(value, way):
            where = file.places.find(inner) if inner else place
            if (match := PLACEHOLDER.search(text)) and match[0].startswith("{="):
                yield Issue(where, f"{match[0]} is a placeholder that nobody filled in", SCAFFOLD, "warning")
            yield from _check_names(text, noun, where)
            code = parse_code(text, where, file.places.first_line(inner))
            if code and (issue := _syntax(code, evaluator)):
                yield issue


def _check_names(text: str, noun: Module | Template, place: Place) -> Iterator[Issue]:
    """What is spelled like a reference and is none, and parameters that nobody declared."""
    whole = parse_reference(text)
    for part in [whole] if whole else split_text(text):
        if isinstance(part, Reference) and part.kind == "param" and all(part.name != param.id for param in noun.params):
            message = f"{noun.id} declares no parameter {part.name}: it is null unless it is given all the same"
            yield Issue(place, message, REFERENCE, "warning")
    if not whole and (match := _ALMOST.fullmatch(text)):
        yield Issue(place, f"{match[0].strip()} is no reference: it stays text", REFERENCE, "warning")


def _written(noun: Module | Template) -> Iterator[tuple[Value, Way, Place]]:
    if isinstance(noun, Module):
        yield noun.args, noun.way, noun.place
        yield noun.code, (*noun.way[:-1], "code"), noun.place
        return
    for step in noun.run:
        yield step.args, step.way, step.place
        yield step.code, (*step.way[:-1], "code"), step.place


def _with_ways(value: Value, way: Way) -> Iterator[tuple[str, Way]]:
    if isinstance(value, str):
        yield value, way
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _with_ways(item, (*way, number) if way else ())
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _with_ways(inner, (*way, key) if way else ())


def _syntax(code: Code, evaluator: Evaluator) -> Issue | None:
    """What is wrong with the text of code."""
    if code.language == "clj":
        try:
            read_code(code.text)
        except SyntaxFault as fault:
            return code.locate(fault.at[0], fault.message)
    if code.language == "js":
        try:
            evaluator.evaluate(Code("js", _COMPILE), Scope({"text": code.text}))
        except Failed as error:
            message = re.sub(r"^JavaScript code: (line \d+: )?", "", error.message)
            line = int(error.details.get("line", 3)) - 2  # new Function puts two lines before, and one behind
            return code.locate(min(line, code.text.count("\n") + 1), message)
    return None


def _twice(library: Library) -> Iterator[Issue]:
    """One id in two files: the nearer is meant."""
    seen: dict[str, Place] = {}
    for file in library.files:
        for noun in file.nouns:
            first = seen.setdefault(noun.id, noun.place)
            if first.path != noun.place.path:
                yield Issue(noun.place, f"{noun.id} is in {first.path}, too", REFERENCE, "warning")
