"""``warpforge reproduce``: does a step give the same whatever is different around it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.cmd_shell import parse_target
from warpforge.cli.conduct import CATALOG_AT, conducted
from warpforge.cli.render import make_reporter
from warpforge.cli.units import MAX_UNPACKED
from warpforge.engine.engine import Engine
from warpforge.engine.events import Event, Reporter, Several, StepFinished
from warpforge.engine.job import list_secrets
from warpforge.engine.reproduce import DIFFERS, Reproducer, Reproduction, Trial
from warpforge.engine.vary import NAMES
from warpforge.errors import Failed
from warpforge.workspace.find import find_stack

if TYPE_CHECKING:
    from warpforge.cli.render import Renderer
    from warpforge.engine.job import Job
    from warpforge.model.run import RunRecord
    from warpforge.plan.plan import StepPath
    from warpforge.workspace.targets import Target

GRADES = {
    "A": "nothing changed its outputs",
    "B": "only what every box holds fixed changes its outputs",
    "C": "its outputs depend on where or when it runs",
    "D": "its outputs differ by themselves; no cause was found",
}
SHOWN = 5


@click.command(cls=Command, name="reproduce")
@click.argument("what", required=False, default="", metavar="[TARGET[:STEP]]")
@click.option("--variations", default=",".join(NAMES), show_default=True, metavar="LIST", help="What to vary.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Actions at once, of what must run first.")
@CATALOG_AT
@conducted
@MAX_UNPACKED
@pass_common
def reproduce(common: Common, what: str, *, variations: str, jobs: int | None) -> None:
    """Run steps again with one thing varied at a time; name what changes their outputs, and the files that differ.

    Nothing of it is remembered. Of each step a grade: A, nothing changes its outputs; B, only what every box holds
    fixed; C, where or when it runs; D, they differ by themselves. Exit status 1 when a step has C or D.
    What differs is kept in the quarantine, one beside the other.
    """
    names = [name.strip() for name in variations.split(",") if name.strip()]
    if unknown := [name for name in names if name not in NAMES]:
        refuse_argument(f"no such variation: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    settings = common.settings
    target, step = parse_target(what, common)
    options = common.options(jobs=jobs or 0, keep_run_dir=False)
    found: list[Reproduction] = []
    screen, recorder = make_reporter(common), _Recorder()
    with Engine(find_stack(target.path.parent, settings.home), Several(screen, recorder), options) as engine:
        reproducer = Reproducer(engine, lambda job, trial: _tell(common, job, trial))
        try:
            with engine.store.use():
                for job in _jobs(engine, target, step, screen, recorder):
                    if list_secrets(job.formula):
                        common.note(f"{_name(job)} is left out: it needs a secret")
                        continue
                    _begin(common, job)
                    found.append(reproducer.reproduce(job, names))
                    _grade(common, found[-1])
        finally:
            reproducer.close()
    _judge(found)


def _jobs(engine: Engine, target: Target, step: StepPath, screen: Renderer, recorder: _Recorder) -> Iterator[Job]:
    """The step that was asked for, after all that it needs; without one every step of what is run first."""
    try:
        if step:
            only = engine.approach(target, step)
        else:
            engine.run(target)
    finally:
        screen.close()
    if step:
        yield only
    else:
        yield from (job for job, _ in engine.steps(target, recorder.records))


class _Recorder(Reporter):
    """Keeps the record of every step."""

    def __init__(self) -> None:
        self.records: dict[StepPath, RunRecord] = {}

    def tell(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self.records[event.step] = event.record


def _name(job: Job) -> str:
    return "/".join(job.step) or "formula"


def _begin(common: Common, job: Job) -> None:
    if not common.json:
        common.result(printable(f"{_name(job)}  {job.formula_id}"))


def _tell(common: Common, job: Job, trial: Trial) -> None:
    if common.json:
        print(to_json({"trial": {"step": _name(job), "formulaID": job.formula_id, **trial.to_serial()}}), flush=True)
        return
    common.result(printable(f"  {trial.variation:<9} {trial.verdict:<10}  {trial.note}".rstrip()))
    for line in trial.changes[:SHOWN]:
        common.result(printable(f"      {line}"))
    if len(trial.changes) > SHOWN:
        common.result(f"      and {len(trial.changes) - SHOWN} more")
    if trial.verdict == DIFFERS and trial.kept:
        common.result(printable(f"      both in {trial.kept}"))


def _grade(common: Common, one: Reproduction) -> None:
    if common.json:
        serial = {"step": _name(one.job), "grade": one.grade, "causes": one.causes}
        print(to_json({"reproduction": {**serial, "formulaID": one.job.formula_id}}), flush=True)
        return
    causes = f": {', '.join(one.causes)}" if one.causes else ""
    common.result(f"  grade {one.grade}: {GRADES[one.grade]}{causes}")


def _judge(found: list[Reproduction]) -> None:
    """Errors: ``ware-mismatch`` (reproduce) when a step cannot be relied on."""
    bad = [one for one in found if one.grade in "CD"]
    if bad:
        names = ", ".join(f"{_name(one.job)} ({', '.join(one.causes) or 'by itself'})" for one in bad)
        raise Failed(
            "ware-mismatch",
            f"{len(bad)} of {len(found)} steps do not give the same everywhere: {names}",
            reason="reproduce",
            steps=",".join(_name(one.job) for one in bad),
        )
