"""Understands polytope files for a job: what each step is, with its arguments evaluated, and how it is done."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from warpforge.errors import PREFIX, Invalid
from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.expand import Call, Leaf, expand
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.references import parse_code
from warpforge.polytope.calls.resolve import Frame, NotStored, Resolver
from warpforge.polytope.calls.steps import JobStep, begin, plan_steps
from warpforge.polytope.code.evaluator import Code, Evaluator, Scope
from warpforge.polytope.code.host import Host
from warpforge.polytope.files.library import Library, scoped
from warpforge.polytope.files.read_steps import default_id
from warpforge.polytope.hermetic.choosing import names_of
from warpforge.polytope.issues import spell
from warpforge.polytope.jobs.work import Work
from warpforge.polytope.modules.api import Api
from warpforge.polytope.modules.primitives import CONTAINER, run_container, run_primitive
from warpforge.polytope.nouns import Place, Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import ContainerSpec


class Formulas(Protocol):
    """Who carries out containers that are pure functions."""

    def choose(self, spec: ContainerSpec, names: Collection[str]) -> ContainerSpec | None:
        """The container as it is to be carried out, if it is one; ``names``: of its step and its modules."""

    def run(self, spec: ContainerSpec, runner: Runner) -> Value:
        """As ``run_container``. Errors: ``invalid-argument``, which says why it is none; the engine's."""


class Author:
    """``formulas``: carries out the containers that are pure functions; without it they are containers like others."""

    def __init__(
        self,
        library: Library,
        evaluator: Evaluator,
        *,
        cwd: str,
        home: str = "",
        formulas: Formulas | None = None,
    ) -> None:
        self._library = library
        self._evaluator = evaluator
        self._cwd = cwd
        self._home = home
        self._formulas = formulas

    def open(self, step: JobStep, runner: Runner) -> Work:
        """Errors: ``missing``, ``invalid-argument``, ``module-invalid``, ``generator-failed``."""
        resolver = self._resolver(runner)
        leaf = begin(step, resolver)
        try:
            return self._work(leaf, resolver, runner, step.id)
        except Invalid as error:
            raise _at(error, leaf, step.place) from error.__cause__

    def call(self, reference: str, args: Mapping[str, Value], caller: JobStep, runner: Runner) -> Work | list[JobStep]:
        """Errors: as ``open``."""
        self._library.refresh()
        resolver = self._resolver(runner)
        call = Call(reference=reference, args=dict(args), file=caller.frame.file)
        leaf = expand(call, resolver)
        if leaf.template is not None:
            return plan_steps([[call]], resolver)
        return self._work(leaf, resolver, runner, default_id(reference))

    def plan(self, calls: Sequence[Sequence[Call]], runner: Runner) -> list[JobStep]:
        """The steps of groups of calls that follow one another, as the files are now. Errors: as ``plan_steps``."""
        self._library.refresh()
        return plan_steps(calls, self._resolver(runner))

    def check(self, steps: Sequence[JobStep], runner: Runner) -> None:
        """Errors: as ``open``, but for what is not stored: another step may store it."""
        for step in steps:
            if not step.after:
                with suppress(NotStored):
                    begin(step, self._resolver(runner))

    def _resolver(self, runner: Runner) -> Resolver:
        return Resolver(self._library, self._evaluator, _Stores(runner), cwd=self._cwd, outputs=runner)

    def _work(self, leaf: Leaf, resolver: Resolver, runner: Runner, step: str) -> Work:
        for warning in leaf.warnings:
            runner.log("warn", str(warning))
        if leaf.code is not None:
            return self._code(leaf.code, leaf.frame, resolver, leaf.base, step)
        facts = self._facts(resolver, leaf.base, step)
        name = leaf.primitive
        if name != CONTAINER:
            return Work(lambda runner: run_primitive(name, runner, leaf.params, facts))
        spec = make_container(leaf.params, facts)
        formulas = self._formulas
        pure = formulas.choose(spec, names_of(leaf, step)) if formulas else None
        if formulas and pure:
            return Work(lambda runner: formulas.run(pure, runner))
        return Work(lambda runner: run_container(runner, spec), is_container=True)

    def _code(self, code: Code, frame: Frame, resolver: Resolver, base: str, step: str) -> Work:
        facts = self._facts(resolver, base, step)
        variables = resolver.variables(frame)

        def evaluate(code: Code, runner: Runner) -> Value:
            if code.language == "py":
                from warpforge.polytope.modules.python_code import run_python

                return run_python(runner, code.text, frame.params, step)
            nested = Api(
                runner, facts, frame.params, lambda text: evaluate(parse_code(text) or Code("clj", text), runner)
            )
            scope, host = Scope(frame.params, variables), _InScope(nested, resolver, frame)
            return self._evaluator.evaluate(code, scope, host, lambda: runner.sleep(0))

        return Work(lambda runner: evaluate(code, runner))

    def _facts(self, resolver: Resolver, base: str, step: str) -> Facts:
        return Facts(
            base=base,
            cwd=self._cwd,
            root=resolver.project(),
            home=self._home,
            step=step,
            secrets=frozenset(resolver.secrets),
        )


def _at(error: Invalid, leaf: Leaf, place: Place) -> Invalid:
    """The error with the place where a person wrote what is wrong, unless it has one: of the nearest module that does
    not ship with us, else of the step."""
    own = next((level.noun.place for level in reversed(leaf.levels) if not level.file.is_builtin), place)
    if not own.path or "line" in error.details:
        return error
    told: dict[str, Any] = {**error.details, "document": own.path, "line": own.line, "column": own.column}
    return Invalid(error.code.removeprefix(PREFIX), f"{spell(own)}: {error.message}", **told)


class _InScope:
    """A bare id that code calls, and a path that it names, mean what they mean in the code's own file."""

    def __init__(self, host: Host, resolver: Resolver, frame: Frame) -> None:
        self._host = host
        self._resolver = resolver
        self._frame = frame

    def call(self, name: str, args: list[Value]) -> Value:
        if name in ("call-module", "call-tool", "spawn-step") and args and isinstance(args[0], str):
            rest = [self._resolver.anchor(arg, self._frame) for arg in args[1:]]
            args = [scoped(args[0], self._frame.file), *rest]
        return self._host.call(name, args)


class _Stores:
    """Stored values and secrets, as the runner has them: whatever secret is looked at is masked from then on."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def value(self, name: str) -> str | None:
        found = self._runner.get_value("project", name)
        return found if found is None or isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    def secret(self, name: str) -> str | None:
        return self._runner.get_secret(name)
