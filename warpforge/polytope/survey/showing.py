"""Modules and templates, described for people and programs."""

from __future__ import annotations

from typing import Any

from warpforge.errors import Invalid, WarpforgeError
from warpforge.polytope.calls.expand import Call, Leaf, expand
from warpforge.polytope.calls.resolve import Resolver
from warpforge.polytope.calls.steps import JobStep, plan_steps
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.files.library import Library, builtin_names, load_builtin
from warpforge.polytope.issues import spell
from warpforge.polytope.marks import Unknown, find_unknown
from warpforge.polytope.nouns import Module, Parameter, Template, Value
from warpforge.polytope.survey.checking import NoStores, issues_of
from warpforge.polytope.types.language import Default, is_required, parse_type, spell_type, spell_value


def list_all(library: Library) -> list[dict[str, str]]:
    """Everything that can be run: the files' own first, then the built-ins. ``{id, kind, info, place}``"""
    rows = [_row(noun, noun.id, spell(noun.place)) for file in library.files for noun in file.nouns]
    for name in builtin_names():
        for noun in load_builtin(name).nouns:
            own = (
                f"polytope/{name}"
                if noun.id == name or getattr(noun, "is_default", False)
                else f"polytope/{name}!{noun.id}"
            )
            rows.append(_row(noun, own, "built-in"))
    return rows


def _row(noun: Module | Template, name: str, place: str) -> dict[str, str]:
    return {"id": name, "kind": _kind(noun), "info": noun.info, "place": place}


def _kind(noun: Module | Template) -> str:
    return "template" if isinstance(noun, Template) else "module"


def describe(reference: str, library: Library, evaluator: Evaluator, *, cwd: str) -> dict[str, Any]:
    """``{id, kind, info, place, params: [...], levels, args?, steps?, issues}``. Errors: ``missing``."""
    found = library.find(reference)
    noun = found.noun
    shown: dict[str, Any] = {
        "id": reference,
        "kind": _kind(noun),
        "info": noun.info,
        "place": "built-in" if found.file.is_builtin else spell(noun.place),
        "params": [describe_parameter(param) for param in noun.params],
        "levels": [],
        "issues": [],
    }
    resolver = Resolver(library, evaluator, NoStores(), cwd=cwd, is_dry=True)
    args: dict[str, Value] = {param.id: Unknown(f"pt.param {param.id}") for param in noun.params if is_open(param)}
    call = Call(reference=reference, args=args)
    try:
        leaf = expand(call, resolver)
        shown["levels"] = _levels(leaf)
        if leaf.template is not None:
            shown["steps"] = [_step(step) for step in plan_steps([[call]], resolver)]
        else:
            shown["args"] = [f"{name}: {_spell(value)}" for name, value in leaf.params.items() if value is not None]
    except WarpforgeError as error:
        shown["issues"] = [str(issue) for issue in issues_of(error, noun.place)]
    return shown


def is_open(parameter: Parameter) -> bool:
    """Whether a call must say what it is."""
    try:
        return is_required(parse_type(parameter.type))
    except Invalid:
        return True


def describe_parameter(parameter: Parameter) -> dict[str, Any]:
    """``{id, type, required, has_default, default, info}``"""
    try:
        kind = parse_type(parameter.type)
    except Invalid:
        return {"id": parameter.id, "type": spell_value(parameter.type), "required": True, "has_default": False} | {
            "default": None,
            "info": parameter.info,
        }
    inner = kind.of if isinstance(kind, Default) else kind
    return {
        "id": parameter.id,
        "type": spell_type(inner),
        "required": is_required(kind),
        "has_default": isinstance(kind, Default),
        "default": spell_value(kind.value) if isinstance(kind, Default) else None,
        "info": parameter.info or parameter.name,
    }


def _levels(leaf: Leaf) -> list[str]:
    lines = [level.reference for level in leaf.levels]
    if leaf.code is not None:
        lines.append(f"code ({leaf.code.language})")
    elif leaf.primitive:
        lines[-1] += " (primitive)"
    return lines


def _spell(value: Value) -> str:
    return f"<{value}>" if isinstance(value, Unknown) else spell_value(_with_unknown(value))


def _with_unknown(value: Value) -> Value:
    if find_unknown(value) is None:
        return value
    if isinstance(value, Unknown):
        return f"<{value}>"
    if isinstance(value, list):
        return [_with_unknown(item) for item in value]
    return {key: _with_unknown(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _step(step: JobStep) -> str:
    after = ", ".join(
        edge.step if edge.condition == "success" else f"{edge.step} ({edge.condition})" for edge in step.after
    )
    return f"{step.id}: {step.call or 'code'}" + (f"  after {after}" if after else "")
