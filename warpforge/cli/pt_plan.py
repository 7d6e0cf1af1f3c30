"""``pt plan`` and ``pt export``: which steps of a job are formulas, and the plot that they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.pt_hermetic import choosing, make_choice, refuse_strangers
from warpforge.errors import Failed, Invalid, Unable, WarpforgeError

if TYPE_CHECKING:
    from warpforge.model.plot import Plot
    from warpforge.polytope.calls.expand import Call
    from warpforge.polytope.files.library import Library
    from warpforge.polytope.hermetic.pinned import Pinned
    from warpforge.polytope.hermetic.planning import Planned, World
    from warpforge.polytope.nouns import Value

FILE: Final = click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one of this directory.")
COLOURS: Final = {"formula": "green", "box": "blue", "code": "magenta", "wrong": "red"}
_NEAR: Final = "(it would be a formula if it were said to be one)"
_ABLE: Final = "(it would be a formula with --hermetic)"


class Opened(NamedTuple):
    """What planning takes."""

    library: Library
    world: World
    pinned: Pinned


@click.command(cls=Command)
@click.argument("refs", nargs=-1, metavar="[REF[{ARGUMENTS}][,]]...")
@FILE
@choosing
@pass_common
def plan(
    common: Common, refs: tuple[str, ...], file: str | None, *, hermetic: bool | None, only: tuple[str, ...]
) -> None:
    """Tell which steps of a job are formulas, which are boxes, and why. Nothing is run.

    formula: a pure function of pinned inputs; it runs once, and is remembered. box: a container with the job's network.
    code: the job itself does it. wrong: it cannot be run. Without REF all templates of the file, else all its modules.
    """
    with opened(common, file, str(common.settings.cwd)) as (library, world, _):
        world = world._replace(choice=make_choice(library, hermetic=hermetic, only=only))
        for name, calls in _jobs(library, refs):
            steps = _plan(calls, world, name)
            if not name:
                refuse_strangers(world.choice, [step.id for step in steps], library)
            if common.json:
                for step in steps:
                    common.result(to_json({"planned": _serial(name, step)}))
                continue
            if name:
                common.result(click.style(printable(name), bold=True))
            for line in _lines(steps, indent="  " if name else ""):
                common.result(line)


@click.command(cls=Command)
@click.argument("refs", nargs=-1, required=True, metavar="REF[{ARGUMENTS}][,]...")
@FILE
@click.option("--output", "-o", metavar="FILE", default="plot.wf", show_default=True, help="Where; - for the screen.")
@click.option("--module", metavar="NAME", help="Also write a module.wf of this name beside it.")
@click.option("--partial", is_flag=True, help="Leave out what is no formula.")
@choosing
@pass_common
def export(
    common: Common,
    refs: tuple[str, ...],
    file: str | None,
    output: str,
    module: str | None,
    *,
    partial: bool,
    hermetic: bool | None,
    only: tuple[str, ...],
) -> None:
    """Write the steps of a job as a plot, which `warpforge run` runs and a catalog can release.

    Every step has to be a formula, or to lack nothing but the word (hermetic: true). What the host has becomes an
    ingest, an image its digest, and a dataset that an earlier step keeps a pipe from it.
    """
    from warpforge.model.serial import dump
    from warpforge.polytope.calls.argv import parse_calls
    from warpforge.polytope.hermetic.planning import make_job_plot, plan_job

    goal = common.settings.cwd / output
    base = common.settings.cwd if output == "-" else goal.parent
    if output == "-" and module:
        refuse_argument("--module writes beside the plot: name a file with --output")
    with opened(common, file, str(base)) as (library, world, pinned):
        world = world._replace(choice=make_choice(library, hermetic=hermetic, only=only))
        steps = [_as_said(common, step) for step in plan_job(parse_calls(refs), world)]
        refuse_strangers(world.choice, [step.id for step in steps], library)
        _refuse_others(steps, partial=partial)
        plot = make_job_plot(steps, world, pinned)
    data = dump(plot)
    if output == "-":
        click.echo(data, nl=False)
        return
    _write(goal, data)
    _warn_of_itself(common, plot, goal)
    if module:
        from warpforge.model.module import Module
        from warpforge.model.names import parse_module_name

        _write(goal.with_name("module.wf"), dump(Module(parse_module_name(module))))
    common.note(f"wrote {os.path.relpath(goal, common.settings.cwd)}")


@contextmanager
def opened(common: Common, file: str | None, plot: str) -> Iterator[Opened]:
    """The library of a file, and a world in which nothing runs. Errors: as ``open_library``; ``workspace-missing``."""
    from warpforge.cli.pt_world import open_library, open_stores
    from warpforge.engine.engine import Engine
    from warpforge.engine.events import Reporter
    from warpforge.polytope.calls.resolve import Resolver
    from warpforge.polytope.code.evaluator import Evaluator
    from warpforge.polytope.hermetic.pinned import Pinned, find_dataset
    from warpforge.polytope.hermetic.planning import World
    from warpforge.workspace.find import find_stack

    settings = common.settings
    library = open_library(common, file, engine=lambda: engine)
    stack = find_stack(Path(library.directory), settings.home)
    with Evaluator() as evaluator, Engine(stack, Reporter(), common.options()) as engine, engine.store.use():
        cwd = str(settings.cwd)
        resolver = Resolver(library, evaluator, open_stores(common, library), cwd=cwd, is_dry=True)
        pinned = Pinned(engine, Path(library.directory))
        world = World(
            resolver, cwd, str(settings.home or ""), plot, pinned.name, find_dataset(engine, Path(library.directory))
        )
        yield Opened(library, world, pinned)


def _jobs(library: Library, refs: Sequence[str]) -> Iterator[tuple[str, list[list[Call]]]]:
    """What was asked for as one job, or everything of the file by its name."""
    from warpforge.polytope.calls.argv import parse_calls
    from warpforge.polytope.calls.expand import Call
    from warpforge.polytope.marks import Unknown
    from warpforge.polytope.survey.showing import is_open

    if refs:
        yield "", parse_calls(refs)
        return
    root = library.root
    if root is None:
        refuse_argument("there is no polytope.yml here nor above: say what to plan, as in `pt plan polytope/postgres`")
    for noun in root.templates or root.modules:
        args: dict[str, Value] = {one.id: Unknown(f"pt.param {one.id}") for one in noun.params if is_open(one)}
        yield noun.id, [[Call(reference=noun.id, args=args, file=root, place=noun.place)]]


def _plan(calls: list[list[Call]], world: World, name: str) -> list[Planned]:
    """The steps of one job. What is wrong with one of many (``name``) is told in its place."""
    from warpforge.polytope.hermetic.planning import Planned, plan_job
    from warpforge.polytope.hermetic.purity import Impurity

    try:
        return plan_job(calls, world)
    except WarpforgeError as error:
        if not name:
            raise
        return [Planned(name, name, "wrong", (Impurity("wrong", error.message),))]


def _lines(steps: Sequence[Planned], indent: str) -> Iterator[str]:
    width = max((len(step.id) for step in steps), default=0)
    for step in steps:
        verdict = click.style(f"{step.verdict:<7}", fg=COLOURS[step.verdict])
        near = [_ABLE] if step.can_be and step.why else [_NEAR] if step.is_near else []
        texts = [impurity.text for impurity in step.why] + near
        first, *rest = texts or [""]
        yield f"{indent}{printable(step.id):<{width}}  {verdict}  {printable(first)}".rstrip()
        for text in rest:
            yield f"{indent}{'':<{width}}           {printable(text)}"


def _serial(job: str, step: Planned) -> dict[str, Any]:
    return {
        **({"job": job} if job else {}),
        "step": step.id,
        "call": step.call,
        "verdict": step.verdict,
        "why": [{"reason": impurity.reason, "text": impurity.text} for impurity in step.why],
        "after": list(step.after),
        "couldBeFormula": step.is_near,
        "wouldBeFormula": step.can_be,
    }


def _as_said(common: Common, step: Planned) -> Planned:
    """A step that lacks nothing but the word is exported as if it had it."""
    if not step.is_near:
        return step
    common.note(f"{step.id} is not said to be hermetic; whether it is one, the plot will show")
    return step._replace(verdict="formula", why=())


def _refuse_others(steps: Sequence[Planned], *, partial: bool) -> None:
    others = [step for step in steps if step.verdict != "formula"]
    if len(others) == len(steps):
        raise Invalid("invalid-argument", f"there is no formula: {_because(others)}", reason="hermetic")
    if others and not partial:
        message = f"not all steps are formulas (--partial leaves them out): {_because(others)}"
        raise Invalid("invalid-argument", message, reason="hermetic")


def _because(steps: Sequence[Planned]) -> str:
    return "; ".join(f"{step.id}: {', '.join(impurity.text for impurity in step.why)}" for step in steps)


def _warn_of_itself(common: Common, plot: Plot, goal: Path) -> None:
    from warpforge.model.atoms import Ingest
    from warpforge.model.plot import every_input

    for _, item in every_input(plot):
        basis = item.basis
        if isinstance(basis, Ingest) and basis.kind == "dir":
            top = goal.parent / basis.path
            if goal.parent.resolve().is_relative_to(top.resolve()):
                common.note(
                    f"{goal.name} lies in {basis.path}, which is mounted, and so is a part of it: write it elsewhere"
                )
                return


def _write(path: Path, data: bytes) -> None:
    from warpforge.fsx.atomic import make_dirs, write_new

    if os.path.lexists(path):
        raise Failed("already-exists", f"{path} is there already: name another file, or remove it", path=path)
    try:
        make_dirs(str(path.parent))
        write_new(path, data)
    except OSError as error:
        raise Unable("io", f"{path} cannot be written: {error.strerror}", cause=error, path=path) from error
