"""``warpforge plan``: what a run would do, without doing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import Common, Group, pass_common, printable, to_json
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.render import HITS_SHOWN, make_reporter, seconds, short
from warpforge.cli.units import size
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.engine.forecast import Forecast, StepForecast, WareForecast
    from warpforge.picture.graph import Node

STYLES: Final = {
    "hit": {"fg": "green"},
    "run": {"fg": "blue", "bold": True},
    "fetch": {"fg": "cyan", "bold": True},
    "replay": {"fg": "magenta", "bold": True},
    "waits": {"dim": True},
    "missing": {"fg": "red", "bold": True},
}


class PlanGroup(Group):
    """``plan TARGET`` shows the plan; any other first word that is a command is one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = next((arg for arg in args if not arg.startswith("-")), "")
        return super().parse_args(ctx, args if first in self.list_commands(ctx) else ["show", *args])


@click.group(cls=PlanGroup, name="plan")
def plan() -> None:
    """Tell what a run would do, without doing it."""


@plan.command("show")
@click.argument("targets", nargs=-1, metavar="[FILE|DIR|DIR/...]...")
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Actions at once; default: the cores.")
@click.option("--force", "-f", is_flag=True, help="As `run --force` would: the memo is not asked.")
@click.option("--offline", is_flag=True, help="Do not ask mirrors how large wares are.")
@CATALOG_AT
@click.option("--graph", type=click.Choice(["mermaid", "dot", "svg"]), help="Draw the steps instead.")
@click.option("--output", "-o", metavar="FILE", help="Where the drawing goes, instead of standard output.")
@pass_common
def show(
    common: Common,
    targets: tuple[str, ...],
    *,
    jobs: int | None,
    force: bool,
    offline: bool,
    graph: str | None,
    output: str | None,
) -> None:
    """Tell what running modules, plots and formulas would do. Nothing is executed and nothing is written.

    Each step is a hit (the memo answers), or it would run; fetch: after wares were fetched; replay: after a ware was
    made again by the plot that its release names; waits: its formula is not known before others have run, so it may
    still be a hit; missing: it needs a ware that nobody has. Times are those of earlier runs.
    """
    forecasts = list(_forecasts(common, targets, jobs, force=force, offline=offline))
    if graph is not None:
        _draw(graph, forecasts, output)
        return
    for number, forecast in enumerate(forecasts):
        if common.json:
            common.result(to_json({"plan": forecast}))
            continue
        if number:
            common.result("")
        for line in _lines(common, forecast):
            common.result(line)


def _forecasts(
    common: Common, targets: tuple[str, ...], jobs: int | None, *, force: bool, offline: bool
) -> Iterator[Forecast]:
    from warpforge.engine.engine import Engine
    from warpforge.engine.events import Notice
    from warpforge.engine.forecast import Forecaster
    from warpforge.workspace.find import Stack, find_stack
    from warpforge.workspace.targets import find_targets

    settings = common.settings
    options = common.options(jobs=jobs or 0, force=force, look=True)
    reporter = make_reporter(common)
    forecasters: dict[Stack, Forecaster] = {}
    for target in find_targets(targets, settings.cwd, lambda message: reporter.tell(Notice("info", message))):
        stack = find_stack(target.path.parent, settings.home)
        if stack not in forecasters:
            forecasters[stack] = Forecaster(Engine(stack, reporter, options), options.jobs, ask=not offline)
        yield forecasters[stack].forecast(target)


def _draw(kind: str, forecasts: list[Forecast], output: str | None) -> None:
    from warpforge.cli.files import write_output
    from warpforge.picture import graph, graph_svg

    nodes = [node for forecast in forecasts for node in _nodes(forecast)]
    text = {"mermaid": graph.mermaid, "dot": graph.dot, "svg": graph_svg.svg}[kind](nodes)
    if output is None:
        sys.stdout.write(text)
        return
    write_output(output, text)


def _nodes(forecast: Forecast) -> list[Node]:
    """The steps of a forecast, with what will happen."""
    from warpforge.cli.render import seconds
    from warpforge.picture.graph import Node

    nodes = []
    for step in forecast.steps:
        note = step.verdict if step.seconds is None else f"{step.verdict} · {seconds(step.seconds)}"
        nodes.append(Node(step.step, step.verdict, note, tuple(step.needs)))
    return nodes


def _lines(common: Common, forecast: Forecast) -> Iterator[str]:
    where = os.path.relpath(forecast.document, common.settings.cwd)
    yield printable(where if not forecast.name else f"{where} ({forecast.name})")
    hidden = 0
    width = min(40, max((len(step.step) for step in forecast.steps), default=0))
    wares = {ware.ware: ware for ware in forecast.wares}
    hits = 0
    for step in forecast.steps:
        hits += step.verdict == "hit"
        if step.verdict == "hit" and hits > HITS_SHOWN and not common.verbose:
            hidden += 1
            continue
        verdict = click.style(f"{step.verdict:<8}", **STYLES[step.verdict])  # type: ignore[arg-type]
        yield f"  {verdict}{printable(step.step or 'formula'):<{width}}  {printable(_said(step, wares))}".rstrip()
    if hidden:
        yield f"  hit     {counted(hidden, 'more step')}"
    for ware in forecast.wares:
        if ware.state != "here" or common.verbose:
            words = _ware(ware) + (", perhaps" if ware.maybe else "")
            yield printable(f"  ware    {short(ware.ware)}  {words}  ({ware.origin})")
    for hazard in forecast.hazards:
        yield printable(f"  HAZARD  {hazard}; it is refused unless allowed by --allow-hazard")
    yield _total(forecast)


def _said(step: StepForecast, wares: dict[str, WareForecast]) -> str:
    if step.verdict == "hit":
        return f"saves {seconds(step.saves)}" if step.saves is not None else ""
    words = ["never ran here" if step.seconds is None else seconds(step.seconds)]
    if step.basis == "step":
        words[0] = f"about {words[0]}"
    if step.waits:
        words.append(f"for {', '.join(step.waits[:3])}" + (" and others" if len(step.waits) > 3 else ""))
    wanted = [wares[ware] for ware in step.wares]
    fetched = [ware for ware in wanted if ware.state == "mirror"]
    if fetched:
        known = sum(ware.bytes or 0 for ware in fetched)
        more = " and more" if any(ware.bytes is None for ware in fetched) else ""
        words.append(f"after {size(known)}{more}")
    words += [f"after replay of {short(ware.ware)}" for ware in wanted if ware.state == "replay"]
    words += [f"nobody has {ware.ware}" for ware in wanted if ware.state == "nowhere"]
    return ", ".join(words)


def _ware(ware: WareForecast) -> str:
    match ware.state:
        case "mirror":
            return f"{'size unknown' if ware.bytes is None else size(ware.bytes)} from {ware.source}"
        case "replay":
            return f"replay of {short(ware.source)}, {counted(ware.steps, 'step')}"
        case "ingest":
            return "made from what is here"
    return "nobody has it" if ware.state == "nowhere" else "here"


def _total(forecast: Forecast) -> str:
    count = len(forecast.steps)
    words = [f"{count} step{'' if count == 1 else 's'}"]
    if forecast.counts:
        words[0] += ": " + ", ".join(f"{number} {verdict}" for verdict, number in forecast.counts.items())
    if forecast.bytes or forecast.unsized:
        words.append(f"{size(forecast.bytes)} to fetch" + (" and more" if forecast.unsized else ""))
    if forecast.counts.get("hit") == count:
        return "; ".join(words)
    if forecast.seconds or not forecast.untimed:
        least = "at least " if forecast.untimed else "about "
        words.append(f"{least}{seconds(forecast.seconds)} with -j {forecast.jobs}")
    if len(forecast.path) > 1:
        shown = [*forecast.path[:3], "…", forecast.path[-1]] if len(forecast.path) > 5 else forecast.path
        words.append(f"critical path {seconds(forecast.path_seconds)}: {' > '.join(shown)}")
    if forecast.untimed:
        words.append(f"{forecast.untimed} never ran here")
    return printable("; ".join(words))


@plan.command("generate")
@click.argument("programs", nargs=-1, metavar="[FILE|DIR|DIR/...]...")
@pass_common
def generate(common: Common, programs: tuple[str, ...]) -> None:
    """Compute plots by Starlark programs: plot.star becomes plot.wf beside it.

    The program leaves the plot in `result`, without its capsule; it may load files beside or below it.
    """
    from warpforge.engine.generate import find_programs
    from warpforge.engine.generate import generate as write

    for program in find_programs(programs, common.settings.cwd):
        goal = write(program)
        if common.json:
            print(to_json({"generated": {"program": str(program), "plot": str(goal)}}))
        else:
            common.note(printable(f"wrote {goal}"))
