"""pt call: a tool, until what it promises is done, in the job that runs here or as a job of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import conducted
from warpforge.errors import Failed

if TYPE_CHECKING:
    from warpforge.polytope.calls.expand import Call
    from warpforge.polytope.nouns import Parameter, Value


@click.command(cls=Command, name="call")
@click.argument("tool", metavar="TOOL[{ARGUMENTS}]")
@click.argument("args", nargs=-1, metavar="[VALUE|NAME=VALUE]...")
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@click.option("--apart", is_flag=True, help="As a job of its own, also when one runs here.")
@conducted
@pass_common
def call(common: Common, tool: str, args: tuple[str, ...], *, file: str | None, apart: bool) -> None:
    """Call a tool, template or module, and wait until it has done what it promises; its output goes to stdout.

    Values go to its parameters in their order, NAME=VALUE to the one of that name.
    """
    from warpforge.cli.pt_jobs import running_jobs
    from warpforge.cli.pt_world import open_library
    from warpforge.polytope.calls.argv import parse_calls

    groups = parse_calls([tool])
    if len(groups) != 1 or len(groups[0]) != 1:
        refuse_argument(f"{tool}: one tool is called at a time; `pt run` runs several")
    library = open_library(common, file)
    [found] = groups[0]
    noun = library.find(found.reference).noun
    given = {**found.args, **_take(noun.params, args)}
    running = [] if apart or file else running_jobs(common)
    if running:
        _ask(common, running[0].path, found.reference, given)
    else:
        _run(common, file, found, given)


def _take(params: Sequence[Parameter], args: Sequence[str]) -> dict[str, Value]:
    from warpforge.polytope.text.yaml import read_yaml

    names = [parameter.id for parameter in params]
    taken: dict[str, Value] = {}
    for arg in args:
        name, equals, text = arg.partition("=")
        if not equals or name not in names:
            free = [name for name in names if name not in taken]
            if not free:
                refuse_argument(f"{arg!r}: there is no parameter left; there are {', '.join(names) or 'none'}")
            name, text = free[0], arg
        value = read_yaml(text, name).value
        taken[name] = text if value is None or (isinstance(value, dict | list) and text[:1] not in "[{") else value
    return taken


def _ask(common: Common, path: str, reference: str, args: dict[str, Any]) -> None:
    from warpforge.polytope.jobs.control import ask, revive

    answer = ask(path, "run", reference=reference, args=args, wait=True)
    if answer["state"] not in ("success", "running"):
        if "error" in answer:
            raise Failed("job-step-failed", f"{reference} failed", cause=revive(answer["error"]))
        raise Failed("job-step-failed", f"{reference}: {answer['why']}")
    if not common.json:
        for line in answer["log"]:  # as it is shown when the tool is a job of its own
            common.result(printable(line))
    _show(common, reference, answer["output"])


def _run(common: Common, file: str | None, found: Call, args: dict[str, Any]) -> None:
    import msgspec

    from warpforge.cli.pt_run import answering, finish, playing
    from warpforge.cli.pt_session import Session

    one = msgspec.structs.replace(found, args=args)
    with Session(common, file) as session:
        with playing(session, "call", found.reference, live=False, ask=True) as job:
            steps = session.plan(job, [[one]])
            awaited = session.awaited(one, steps)
            with answering(session, job, port=None):
                job.run(steps, awaited)
        finish(job)
        outputs = {step: job.find_output(step) for step in awaited}
        _show(common, found.reference, outputs[awaited[0]] if len(awaited) == 1 else outputs)


def _show(common: Common, reference: str, output: Any) -> None:
    if common.json:
        common.result(to_json({"called": {"tool": reference, "output": output}}))
    elif output is not None:
        common.result(output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2))
