"""``warpforge run``: modules, plots and formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, refuse_argument
from warpforge.cli.conduct import conducted
from warpforge.cli.render import make_reporter, with_traces
from warpforge.cli.units import MAX_UNPACKED
from warpforge.engine.engine import Engine
from warpforge.engine.events import Notice
from warpforge.engine.failure import Failure, Failures, all_errors
from warpforge.engine.modules import in_order
from warpforge.engine.options import Options
from warpforge.errors import EXIT_INTERRUPTED, WarpforgeError
from warpforge.model.plot import PlotResults
from warpforge.model.run import RunRecord, spell_result
from warpforge.store.failed import BOXES
from warpforge.store.guid import new_guid
from warpforge.workspace.find import Stack, find_stack
from warpforge.workspace.targets import Target, find_targets

KEEP = "Boxes of failed actions that are kept for `warpforge shell --failed`; 0 for none."

if TYPE_CHECKING:
    from warpforge.cli.profile import Profile


@click.command(cls=Command, name="run")
@click.argument("targets", nargs=-1, metavar="[FILE|DIR|DIR/...]...")
@click.option("--force", "-f", is_flag=True, help="Run again what the memo could answer.")
@click.option("--rebuild", is_flag=True, help="Run everything again and compare with what was made before.")
@click.option("--recursive", "-r", is_flag=True, help="Make what is nowhere to be had by the replays of releases.")
@click.option("--offline", is_flag=True, help="Ask nothing beyond this machine; say first all that is missing.")
@click.option("--keep-going", "-k", is_flag=True, help="After a failure run what still can be run.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Boxes at once; default: the cores.")
@click.option("--resume", is_flag=True, help="Take up failed scripts in their kept boxes, at the entry that failed.")
@click.option("--at-entry", type=click.IntRange(min=0), metavar="N", help="With --resume: at this entry.")
@click.option("--keep-failed", type=click.IntRange(min=0), default=BOXES, show_default=True, metavar="N", help=KEEP)
@conducted
@MAX_UNPACKED
@click.option("--profile", metavar="FILE", help="Write where time went, for chrome://tracing or Perfetto.")
@click.option("--explain", is_flag=True, help="Say of each step that runs what has changed.")
@pass_common
def run(
    common: Common,
    targets: tuple[str, ...],
    *,
    force: bool,
    rebuild: bool,
    recursive: bool,
    offline: bool,
    keep_going: bool,
    jobs: int | None,
    resume: bool,
    at_entry: int | None,
    keep_failed: int,
    explain: bool,
    profile: str | None,
) -> None:
    """Run modules, plots and formulas; what was run before is answered from the memo.

    Without arguments the module of this directory is run; DIR/... runs every module at or below DIR.
    Results are printed on stdout, everything else on stderr.
    """
    if at_entry is not None and not resume:
        refuse_argument("--at-entry says where --resume goes on: it needs --resume")
    settings = common.settings
    options = Options(
        jobs=jobs or 0,
        force=force,
        rebuild=rebuild,
        remake=recursive,
        offline=offline,
        warehouse=settings.warehouse,
        run_path=settings.run_path,
        keep_run_dir=settings.keep_run_dir,
        keep_going=keep_going,
        keep_failed=keep_failed,
        resume=resume,
        resume_at=at_entry,
        access=settings.access,
        invocation=new_guid(),
        max_unpacked=common.max_unpacked,
        explain=explain,
        **common.conducting,
    )
    reporter = make_reporter(common)
    profiler: Profile | None = None
    if profile:
        from warpforge.cli.profile import Profile

        profiler = Profile(profile)
    told = with_traces(common, reporter, *([profiler] if profiler else []))
    engines: dict[Stack, Engine] = {}
    failures: list[Failure] = []
    found = in_order(find_targets(targets, settings.cwd, lambda message: reporter.tell(Notice("info", message))))
    try:
        for target in found:
            stack = find_stack(target.path.parent, settings.home)
            if stack not in engines:
                engines[stack] = Engine(stack, told, options)
                reporter.knows(engines[stack].store, options.jobs)
            try:
                result = engines[stack].run(target)
            except WarpforgeError as error:
                if not keep_going or error.exit_status() == EXIT_INTERRUPTED:
                    raise
                failures += _failures(target, error, many=len(found) > 1)
                continue
            if not common.json:
                reporter.pause()
                _print(common, target, result, many=len(found) > 1)
        if failures:
            raise all_errors(failures)
    finally:
        reporter.close()
        for engine in engines.values():
            engine.close()
        if profiler is not None:
            profiler.close()


def _failures(target: Target, error: WarpforgeError, *, many: bool) -> list[Failure]:
    """The failures of one target among others."""
    name = str(target.path.parent if target.kind == "module" else target.path) if many else ""
    found = error.failures if isinstance(error, Failures) else (Failure((), error),)
    return [failure._replace(module=name) for failure in found]


def _print(common: Common, target: Target, result: RunRecord | PlotResults, *, many: bool) -> None:
    """The results, one a line: label and value; a value with line breaks is quoted."""
    lead = f"{target.path.parent.name}/" if many else ""
    for label, value in result.results.items():
        text = spell_result(value)
        common.result(f"{lead}{label}\t{text.removeprefix('ware:') if text.isprintable() else repr(text)}")
