"""References to run -> the steps of a job: templates spelled out, edges between steps, ids that nobody else has.

Nothing is run and no argument of a step evaluated: that happens when the step begins (``begin``), since it may name
what earlier steps gave. Only the arguments of templates are evaluated here: what they run may not depend on outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec

from warpforge.errors import Missing
from warpforge.polytope.calls.expand import LEVEL_LIMIT, Call, Leaf, Level, expand, primitive_name
from warpforge.polytope.calls.references import code_at, outputs_named
from warpforge.polytope.calls.resolve import Frame, Resolver
from warpforge.polytope.files.library import Found, Library
from warpforge.polytope.files.read_steps import default_id
from warpforge.polytope.issues import REFERENCE, Issue, not_there, refuse
from warpforge.polytope.nouns import After, Module, Place, PolytopeFile, Step, Template, Value, Way


class JobStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a job. ``id`` is its own within the job; ``after`` names such ids.

    Either ``call`` or ``code`` (with its prefix); ``args`` as written, in the scope ``frame``; ``way`` leads to them.
    ``names``: the ids of the steps beside it, as its author wrote them -> ids of the job.
    ``warnings``: what there is to say about the call of the template that it is the first step of.
    """

    id: str
    call: str = ""
    code: str = ""
    args: dict[str, Value] = {}
    frame: Frame = Frame(None)
    after: tuple[After, ...] = ()
    names: dict[str, tuple[str, ...]] = {}
    place: Place = Place()
    way: Way = ()
    warnings: tuple[Issue, ...] = ()


def plan_steps(sequence: Sequence[Sequence[Call]], resolver: Resolver) -> list[JobStep]:
    """The steps of all groups; a group begins when the one before it has ended well.

    Errors: ``missing`` (all that a template names and is not there), ``invalid-argument``, ``module-invalid`` for
    steps that wait for one another in a circle, templates that run themselves, and steps that wait for none.
    """
    job = _Job(resolver)
    before: tuple[str, ...] = ()
    for group in sequence:
        edges = tuple(After(name) for name in before)
        before = tuple(name for call in group for name in job.add_call(call, edges, is_alone=len(group) == 1))
    steps = job.steps
    _refuse_rings(steps)
    return steps


def begin(step: JobStep, resolver: Resolver) -> Leaf:
    """What a step runs, now that those before it have ended. Errors: as ``expand``."""
    if step.code:
        file = step.frame.file
        assert file is not None
        code = code_at(step.code, file, (*step.way[:-1], "code") if step.way else (), step.place)
        noun = Module(id=step.id, code=step.code, place=step.place)
        return Leaf(
            levels=(Level(step.id, noun, file, step.frame.params),),
            params=step.frame.params,
            code=code,
            variables=resolver.variables(step.frame),
            base=resolver.base(file),
            warnings=step.warnings,
        )
    args = resolver.resolve(step.args, step.frame, step.way)
    assert isinstance(args, dict)
    call = Call(reference=step.call, args=args, file=step.frame.file, place=step.place, way=step.way)
    leaf = expand(call, resolver)
    return msgspec.structs.replace(leaf, warnings=(*step.warnings, *leaf.warnings)) if step.warnings else leaf


def steps_of(primitive: str, steps: Sequence[JobStep], library: Library) -> list[str]:
    """The ids of those steps that come down to a primitive, as far as can be told before they begin.

    Errors: ``missing``.
    """
    return [step.id for step in steps if _primitive_of(step, library) == primitive]


def _primitive_of(step: JobStep, library: Library) -> str:
    found = _bottom(library, step.call, step.frame.file, step.place) if step.call else None
    if found is None or isinstance(found.noun, Template) or found.noun.code:
        return ""
    return primitive_name(found.file, found.noun.id)


def _bottom(library: Library, reference: str, file: PolytopeFile | None, place: Place) -> Found | None:
    """What a reference comes down to, through modules that extend others; None for a circle: expansion says so."""
    for _ in range(LEVEL_LIMIT):
        found = library.find(reference, file, place=place)
        if isinstance(found.noun, Template) or not found.noun.module:
            return found
        reference, file = found.noun.module, found.file
    return None


class _Job:
    def __init__(self, resolver: Resolver) -> None:
        self.steps: list[JobStep] = []
        self._resolver = resolver
        self._taken: set[str] = set()
        self._running: list[tuple[str, str]] = []  # templates that are being spelled out

    def add_call(self, call: Call, edges: tuple[After, ...], *, is_alone: bool) -> tuple[str, ...]:
        """A module or template from the command line; the ids of its steps."""
        leaf = self._template_of(call.reference, Frame(call.file), call.place)
        name = default_id(call.reference)
        if leaf is None:
            own = self._free(name)
            self.steps.append(
                JobStep(
                    id=own, call=call.reference, args=call.args, frame=Frame(call.file), after=edges, place=call.place
                )
            )
            return (own,)
        frame = Frame(call.file)
        args = self._resolver.resolve(call.args, frame)
        assert isinstance(args, dict)
        called = msgspec.structs.replace(call, args=args)
        return self._add_template(
            expand(called, self._resolver), edges, "" if is_alone and not _is_bare(leaf) else name
        )

    def _template_of(self, reference: str, frame: Frame, place: Place) -> Template | None:
        """The template that a reference comes down to, through modules that extend it."""
        found = _bottom(self._resolver.library, reference, frame.file, place)
        return found.noun if found and isinstance(found.noun, Template) else None

    def _add_template(self, leaf: Leaf, edges: tuple[After, ...], prefix: str) -> tuple[str, ...]:
        """All steps of a template; the ids of those that whoever waits for it waits for."""
        template = leaf.template
        assert template is not None
        key = (leaf.file.path, template.id)
        if key in self._running:
            ring = " -> ".join(name for _, name in [*self._running, key])
            refuse("module-invalid", [Issue(template.place, f"templates run one another in a circle: {ring}")])
        self._refuse_missing(template, leaf)
        self._running.append(key)
        names: dict[str, tuple[str, ...]] = {}
        at = len(self.steps)
        is_single = len(template.run) == 1
        for step in template.run:
            names[step.id] = self._add_step(step, leaf.frame, edges, prefix, is_single=is_single)
        self._running.pop()
        self._connect(template, names, at)
        if leaf.warnings and at < len(self.steps):
            told = (*leaf.warnings, *self.steps[at].warnings)
            self.steps[at] = msgspec.structs.replace(self.steps[at], warnings=told)
        wanted = template.waits_for or tuple(names)
        return tuple(dict.fromkeys(own for name in wanted for own in names.get(name, ())))

    def _add_step(
        self, step: Step, frame: Frame, edges: tuple[After, ...], prefix: str, *, is_single: bool
    ) -> tuple[str, ...]:
        name = self._name(step.id, prefix, is_single=is_single)
        reference = step.template or step.call
        if reference and self._template_of(reference, frame, step.place):
            args = self._resolver.resolve(step.args, frame, step.way)
            assert isinstance(args, dict)
            call = Call(reference=reference, args=args, file=frame.file, place=step.place, way=step.way)
            return self._add_template(expand(call, self._resolver), edges, name)
        own = self._free(name)
        self.steps.append(
            JobStep(
                id=own,
                call=reference,
                code=step.code,
                args=step.args,
                frame=frame,
                after=edges,
                place=step.place,
                way=step.way,
            )
        )
        return (own,)

    def _name(self, name: str, prefix: str, *, is_single: bool) -> str:
        if not prefix:
            return name
        if is_single:
            return prefix
        return name if name not in self._taken else f"{prefix}-{name}"

    def _free(self, name: str) -> str:
        found, number = name, 1
        while found in self._taken:
            number += 1
            found = f"{name}-{number}"
        self._taken.add(found)
        return found

    def _refuse_missing(self, template: Template, leaf: Leaf) -> None:
        """All at once, before anything of the template runs."""
        issues: list[Issue] = []
        for step in template.run:
            if reference := step.template or step.call:
                try:
                    self._resolver.library.find(reference, leaf.file, place=step.place)
                except Missing as error:
                    issues += getattr(error, "findings", [Issue(step.place, error.message, REFERENCE)])
        if issues:
            raise not_there(issues)

    def _connect(self, template: Template, names: dict[str, tuple[str, ...]], at: int) -> None:
        """Edges, from the names that the template uses to those of the job."""
        issues: list[Issue] = []
        wanted: dict[str, list[After]] = {}
        for step in template.run:
            for after in (*step.after, *_implied(step, names)):
                if after.step not in names:
                    known = ", ".join(names)
                    issues.append(Issue(step.place, f"{step.id} waits for {after.step}: there are {known}", REFERENCE))
                for own in names[step.id]:
                    wanted.setdefault(own, []).extend(
                        After(name, after.condition) for name in names.get(after.step, ())
                    )
        if issues:
            refuse("module-invalid", issues)
        for number in range(at, len(self.steps)):
            planned = self.steps[number]
            edges = tuple(dict.fromkeys((*planned.after, *wanted.get(planned.id, ()))))
            self.steps[number] = msgspec.structs.replace(planned, after=edges, names=planned.names or names)


def _is_bare(template: Template) -> bool:
    """Whether all it has is a built-in without an id: ``container`` would say less of it than its own name."""
    only = template.run[0] if len(template.run) == 1 else None
    return only is not None and only.call.startswith("polytope/") and only.id == default_id(only.call)


def _implied(step: Step, names: dict[str, tuple[str, ...]]) -> list[After]:
    """Who refers to an output waits for it."""
    named = outputs_named(step.args) | (outputs_named(step.code) if step.code else set())
    told = {after.step for after in step.after}
    return [After(name) for name in sorted(named - told) if name in names and name != step.id]


def _refuse_rings(steps: list[JobStep]) -> None:
    try:
        TopologicalSorter({step.id: [after.step for after in step.after] for step in steps}).prepare()
    except CycleError as error:
        ring = error.args[1]
        place = next(step.place for step in steps if step.id in ring)
        message = f"steps wait for one another in a circle: {' -> '.join(reversed(ring))}"
        refuse("module-invalid", [Issue(place, message)])
