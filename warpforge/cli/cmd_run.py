"""``warpforge run``: modules, plots and formulas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from warpforge.cli.app import Command, Common, pass_common, refuse_argument
from warpforge.cli.conduct import CATALOG_AT, conducted
from warpforge.cli.render import make_reporter, with_traces
from warpforge.cli.units import MAX_UNPACKED
from warpforge.engine.engine import Engine
from warpforge.engine.events import Notice
from warpforge.engine.options import KEPT
from warpforge.errors import EXIT_INTERRUPTED, WarpforgeError
from warpforge.model.plot import PlotResults
from warpforge.model.run import RunRecord, spell_result
from warpforge.store.guid import new_guid
from warpforge.workspace.find import Stack, find_stack
from warpforge.workspace.targets import Target, find_targets

KEEP = "Boxes of failed actions that are kept for `warpforge shell --failed`; 0 for none."

if TYPE_CHECKING:
    from warpforge.cli.profile import Profile
    from warpforge.cli.render import Renderer
    from warpforge.engine.events import Reporter
    from warpforge.engine.failure import Failure
    from warpforge.engine.options import Options


@click.command(cls=Command, name="run")
@click.argument("targets", nargs=-1, metavar="[FILE|DIR|DIR/...]...")
@click.option("--force", "-f", is_flag=True, help="Run again what the memo could answer.")
@click.option("--rebuild", is_flag=True, help="Run everything again and compare with what was made before.")
@click.option("--recursive", "-r", "remake", is_flag=True, help="Make what nobody has by the replays of releases.")
@click.option("--offline", is_flag=True, help="Ask nothing beyond this machine; say first all that is missing.")
@CATALOG_AT
@click.option("--keep-going", "-k", is_flag=True, help="After a failure run what still can be run.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Actions at once; default: the cores.")
@click.option("--resume", is_flag=True, help="Take up failed scripts in their kept boxes, at the entry that failed.")
@click.option("--at-entry", "resume_at", type=click.IntRange(min=0), metavar="N", help="With --resume: at this entry.")
@click.option("--keep-failed", type=click.IntRange(min=0), default=KEPT, show_default=True, metavar="N", help=KEEP)
@conducted
@MAX_UNPACKED
@click.option("--profile", metavar="FILE", help="Write where time went, for chrome://tracing or Perfetto.")
@click.option("--explain", is_flag=True, help="Say of each step that runs what has changed.")
@pass_common
def run(
    common: Common, /, targets: tuple[str, ...], *, jobs: int | None, keep_going: bool, profile: str | None, **how: Any
) -> None:
    """Run modules, plots and formulas; what was run before is answered from the memo.

    Without arguments the module of this directory is run; DIR/... runs every module at or below DIR.
    Results are printed on stdout, everything else on stderr.
    """
    if how["resume_at"] is not None and not how["resume"]:
        refuse_argument("--at-entry says where --resume goes on: it needs --resume")
    options = common.options(jobs=jobs or 0, keep_going=keep_going, invocation=new_guid(), **how)
    # the screen is closed before the engines are: its last words are read from their stores
    with ExitStack() as engines, _screen(common, profile) as (screen, told):
        found = find_targets(targets, common.settings.cwd, lambda message: screen.tell(Notice("info", message)))
        _Runs(common, options, engines, screen, told).run(found)


@contextmanager
def _screen(common: Common, profile: str | None) -> Iterator[tuple[Renderer, Reporter]]:
    """The screen, and all that hears of what happens: the screen, traces, the profile."""
    screen = make_reporter(common)
    profiler: Profile | None = None
    if profile:
        from warpforge.cli.profile import Profile

        profiler = Profile(profile)
    try:
        yield screen, with_traces(common, screen, *([profiler] if profiler else []))
    finally:
        screen.close()
        if profiler is not None:
            profiler.close()


class _Runs(NamedTuple):
    """What running several targets takes."""

    common: Common
    options: Options
    opened: ExitStack
    screen: Renderer
    told: Reporter

    def run(self, targets: Sequence[Target]) -> None:
        """Every target, by an engine for each stack of workspaces.

        Errors: the first, or with keep-going all of them together.
        """
        failures: list[Failure] = []
        engines: dict[Stack, Engine] = {}
        many = len(targets) > 1
        if many:
            from warpforge.engine.modules import in_order

            targets = in_order(targets)
        for target in targets:
            stack = find_stack(target.path.parent, self.common.settings.home)
            if stack not in engines:
                engines[stack] = self.opened.enter_context(Engine(stack, self.told, self.options))
                self.screen.knows(engines[stack].store, self.options.jobs)
            try:
                result = engines[stack].run(target)
            except WarpforgeError as error:
                if not self.options.keep_going or error.exit_status() == EXIT_INTERRUPTED:
                    raise
                failures += _failures(target, error, many=many)
                continue
            if not self.common.json:
                self.screen.pause()
                _print(self.common, target, result, many=many)
        if failures:
            from warpforge.engine.failure import all_errors

            raise all_errors(failures)


def _failures(target: Target, error: WarpforgeError, *, many: bool) -> list[Failure]:
    """The failures of one target among others."""
    from warpforge.engine.failure import Failure, Failures

    name = str(target.path.parent if target.kind == "module" else target.path) if many else ""
    found = error.failures if isinstance(error, Failures) else (Failure((), error),)
    return [failure._replace(module=name) for failure in found]


def _print(common: Common, target: Target, result: RunRecord | PlotResults, *, many: bool) -> None:
    """The results, one a line: label and value; a value with line breaks is quoted."""
    lead = f"{target.path.parent.name}/" if many else ""
    for label, value in result.results.items():
        text = spell_result(value)
        common.result(f"{lead}{label}\t{text.removeprefix('ware:') if text.isprintable() else repr(text)}")
