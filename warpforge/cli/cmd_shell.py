"""``warpforge shell``: a person, or a command, in the box of a step."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Command, Common, pass_common, refuse_argument
from warpforge.cli.conduct import CATALOG_AT, conducted
from warpforge.cli.render import make_reporter
from warpforge.cli.units import MAX_UNPACKED
from warpforge.engine.engine import Engine
from warpforge.engine.enter import enter, job_of
from warpforge.errors import Missing
from warpforge.model.formula import Script
from warpforge.sandbox.seat import Stdin, Terminal, following
from warpforge.workspace.find import find_stack
from warpforge.workspace.targets import Target, find_targets

if TYPE_CHECKING:
    from warpforge.engine.job import Job
    from warpforge.store.failed import FailedBox


AT_ENTRY = "Run the script's entries before entry N first."


class WithCommand(Command):
    """Everything behind ``--`` is a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = list(args)
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["command"] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


@click.command(cls=WithCommand, name="shell")
@click.argument("what", required=False, default="", metavar="[[TARGET:]STEP|RUN] [-- COMMAND...]")
@click.option("--failed", is_flag=True, help="The box of a failed run, as it was left: the last, or of a STEP or RUN.")
@click.option("--at-entry", type=click.IntRange(min=0), default=0, metavar="N", help=AT_ENTRY)
@CATALOG_AT
@conducted
@MAX_UNPACKED
@click.pass_context
@pass_common
def shell(common: Common, ctx: click.Context, what: str, *, failed: bool, at_entry: int) -> int:
    """Enter the box of a step before its action, or a failed one as it was left.

    What the step needs is run first. Inputs, environment and working directory are those of the action. Without a
    COMMAND its shell is started, with a terminal of its own; with one, standard input is handed on. TARGET is a file or
    directory as for `run`, a STEP of a subplot is OUTER/INNER, and a formula has no step: FILE alone.

    What is changed in a new box is gone afterwards; in a failed one it stays, for the next visit and for
    `run --resume`. The exit status is that of the command.
    """
    if failed and at_entry:
        refuse_argument("a failed box is entered as it was left: --at-entry is for a new one")
    command: list[str] = ctx.meta["command"]
    settings = common.settings
    target, step = (None, ()) if failed else _parse(what, common)
    options = common.options(keep_run_dir=False)
    reporter = make_reporter(common)
    where = target.path.parent if target else settings.cwd
    with Engine(find_stack(where, settings.home), reporter, options) as engine, engine.store.use():
        try:
            box = _find(engine, what) if failed else None
            job = job_of(box) if box else engine.approach(target, step)  # type: ignore[arg-type]
        finally:
            reporter.close()
        with engine.store.failed.hold(box) if box else nullcontext():
            return _sit(common, engine, job, command, at_entry, box)


def _parse(what: str, common: Common) -> tuple[Target, tuple[str, ...]]:
    """The one step that is meant, and its target."""
    target, step = parse_target(what, common, bare="step")
    if target.kind != "formula" and not step:
        refuse_argument("which step? name it as STEP, or TARGET:STEP; `warpforge plan` lists them")
    return target, step


def parse_target(what: str, common: Common, *, bare: str = "target") -> tuple[Target, tuple[str, ...]]:
    """[TARGET:]STEP or TARGET[:STEP]: what without a colon is ``bare``, though a file is always a target."""
    head, colon, step = what.rpartition(":")
    if not colon and (bare == "target" or (common.settings.cwd / what).is_file()):
        head, step = what, ""
    found = find_targets([head or "."], common.settings.cwd)
    if len(found) != 1:
        refuse_argument(f"{head} means {len(found)} things, and this is about one")
    if found[0].kind == "formula" and step:
        refuse_argument(f"{head} is a formula, which has no step {step}")
    return found[0], tuple(step.split("/")) if step else ()


def _find(engine: Engine, what: str) -> FailedBox:
    box = engine.store.failed.find(what)
    if box is None:
        about = f" of {what}" if what else ""
        raise Missing("missing", f"no failed box{about} is kept here: `warpforge log` lists what ran", what=what)
    return box


def _sit(common: Common, engine: Engine, job: Job, command: list[str], at_entry: int, box: FailedBox | None) -> int:
    """Sit in the box until the command ends; gives its exit status."""

    def say(stream: str, data: bytes) -> None:
        fd = 2 if stream == "err" else 1
        while data:
            data = data[os.write(fd, data) :]

    arguments: dict[str, Any] = {"at_entry": at_entry, "box": box, "on_output": say}
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return enter(engine, job, command, seat=Stdin(0), **arguments).exit_code
    if not command:
        _greet(common, job, box)
    with Terminal(0, 1) as seat, following(seat.resize):
        common.give_back = seat.leave
        outcome = enter(engine, job, command, seat=seat, **arguments)
    return outcome.exit_code


def _greet(common: Common, job: Job, box: FailedBox | None) -> None:
    step = "/".join(job.step) or "the formula"
    if box is None:
        common.note(f"in the box of {step}, before its action; what you change is gone when you leave")
    else:
        ended = f"exit code {box.exit_code}" if box.exit_code else box.error
        at = f" in entry {box.entry}" if box.entry >= 0 else ""
        common.note(f"in the box of {step} as run {box.run[:8]} left it: {ended}{at}; what you change stays in it")
    if isinstance(job.formula.action, Script):
        common.note("the script is in /.warpforge.container/script")
