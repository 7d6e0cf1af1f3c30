"""``warpforge log``: what ran, when, how long, and what it said; also of what runs now, in whatever process."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.cli.render import seconds
from warpforge.cli.units import Moment
from warpforge.errors import EXIT_INTERRUPTED, Missing
from warpforge.store.store import Store
from warpforge.workspace.find import find_stack

if TYPE_CHECKING:
    from warpforge.store.run_entry import RunEntry
    from warpforge.store.runs import Runs


class Wanted(NamedTuple):
    """Which executions a person asks for; what is empty does not count."""

    what: str = ""
    step: str = ""
    formula: str = ""
    ware: str = ""
    command: str = ""
    since: float = 0.0
    failed: bool = False

    def has(self, entry: RunEntry) -> bool:
        """Whether it is one of them."""
        from warpforge.store.run_entry import is_about

        return (
            (not self.what or is_about(entry, self.what))
            and (not self.step or self.step in ("/".join(entry.step), *entry.step[-1:]))
            and (not self.formula or entry.formula_id == self.formula)
            and (not self.ware or _has_ware(entry, self.ware))
            and (not self.command or (len(self.command) >= 6 and entry.invocation.startswith(self.command)))
            and entry.started + entry.duration >= self.since
            and (not self.failed or (entry.failed and not entry.begun))
        )


@click.command(cls=Command, name="log")
@click.argument("what", required=False, default="", metavar="[RUN|STEP|FORMULA|WARE]")
@click.option("--step", metavar="STEP", default="", help="Only executions of this step.")
@click.option("--formula", metavar="ID", default="", help="Only executions of this formula.")
@click.option("--ware", metavar="WARE", default="", help="Only what made this ware or had it as an input.")
@click.option("--command", metavar="ID", default="", help="Only what this command ran: `last`, or its id or beginning.")
@click.option("--failed", is_flag=True, help="Only what failed.")
@click.option("--since", type=Moment(), default=0.0, help="Only what ended since: 2h, 3d, 2026-05-01, 14:30.")
@click.option("--count", "-n", type=click.IntRange(min=1), default=20, show_default=True, help="How many to list.")
@click.option("--follow", is_flag=True, help="Show what runs now as it goes on, until nothing runs any more.")
@pass_common
def log(
    common: Common,
    what: str,
    *,
    step: str,
    formula: str,
    ware: str,
    command: str,
    failed: bool,
    since: float,
    count: int,
    follow: bool,
) -> None:
    """List executions, newest first, what runs now above them; with RUN, show that one and its whole output.

    RUN is the id of a run or its beginning (6 characters or more). A step, formula id or WareId lists the
    executions that it was part of; if there is only one, it is shown. With --follow the output of what runs now is
    shown as it comes, also of what another process runs; with a name, only that of what it names.
    """
    settings = common.settings
    store = Store(find_stack(settings.cwd, settings.home).root.internal, warehouse=settings.warehouse, look=True)
    if command == "last":
        last = store.invocations.find("")
        if last is None:
            raise Missing("missing", "no command has run anything here yet")
        command = last.id
    wanted = Wanted(what, step, formula, ware.removeprefix("ware:"), command, since, failed)
    if follow:
        from warpforge.cli.following import Follower

        try:
            Follower(common, store.runs, wanted.has).follow()
        except KeyboardInterrupt:  # the usual way to look away; what ran runs on
            raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
        return
    found = [*islice(filter(wanted.has, _entries(store.runs)), count)]
    if wanted != Wanted() and not found:
        raise Missing("missing", f"no run is known {_words(wanted)}: warpforge log lists them", what=what or None)
    if what and len(found) == 1:
        _show(common, store.runs, found[0])
    elif common.json:
        for entry in found:
            common.result(to_json({"run": entry}))
    else:
        _list(common, store.runs, found)


def _entries(runs: Runs) -> Iterator[RunEntry]:
    """What has not ended, then what has."""
    yield from runs.open_entries()
    yield from runs.entries()


def _has_ware(entry: RunEntry, ware: str) -> bool:
    return any(text.removeprefix("ware:") == ware for text in (*entry.inputs.values(), *entry.outputs.values()))


def _words(wanted: Wanted) -> str:
    said = [f"by {wanted.what!r}"] if wanted.what else []
    said += [f"with {name} {getattr(wanted, name)}" for name in ("step", "formula", "ware") if getattr(wanted, name)]
    said += ["of that command"] if wanted.command else []
    said += ["since then"] if wanted.since else []
    said += ["that failed"] if wanted.failed else []
    return ", ".join(said)


def _list(common: Common, runs: Runs, entries: Iterable[RunEntry]) -> None:
    empty = True
    for entry in entries:
        empty = False
        took = seconds(_duration(runs, entry)) if not entry.begun or runs.is_running(entry) else "-"
        step = "/".join(entry.step) or "formula"
        line = f"{entry.id[:8]}  {when(entry.started)}  {took:>8}  {end(runs, entry):<10}  {step}"
        common.result(printable(line + (f"  ({entry.plot})" if entry.plot else "")))
    if empty:
        common.note("nothing has run here yet")


def _duration(runs: Runs, entry: RunEntry) -> float:
    from time import time

    return max(0.0, time() - entry.started) if runs.is_running(entry) else entry.duration


def _show(common: Common, runs: Runs, entry: RunEntry) -> None:
    path = runs.log_path(entry)
    if common.json:
        said = open(path, "rb").read().decode("utf-8", "backslashreplace") if path else ""
        common.result(to_json({"run": entry, "output": said}))
        return
    for name, value in rows(runs, entry):
        if value:
            common.note(f"{name:<10}  {value}")
    if path:
        write_output(path)
    elif entry.output_bytes:
        common.note("what it said was deleted, to make room")


def rows(runs: Runs, entry: RunEntry) -> list[tuple[str, str]]:
    """What is known of an execution, for people."""
    phases = ", ".join(f"{phase} {seconds(took)}" for phase, _, took in entry.phases)
    return [
        ("run", entry.id),
        ("step", "/".join(entry.step) or "-"),
        ("module", entry.plot),
        ("document", entry.document),
        ("formula", entry.formula_id),
        ("when", f"{when(entry.started)}, {seconds(_duration(runs, entry))}"),
        ("phases", phases),
        ("end", end(runs, entry)),
        ("sandbox", entry.sandbox),
        ("limits", ", ".join(f"{limit} {how}" for limit, how in entry.limits.items())),
        ("hermetic", "" if entry.begun else "yes" if entry.hermetic else "no: " + ", ".join(entry.why)),
        ("memoised", "" if entry.begun else "yes" if entry.memoised else "no"),
        *((f"in  {port}", ware) for port, ware in entry.inputs.items()),
        *((f"out {label}", ware) for label, ware in entry.outputs.items()),
        ("output", "cut: the rest was not kept" if entry.truncated else ""),
    ]


def write_output(path: str) -> None:
    """A log on standard output: as it is, but without escape sequences on a terminal."""
    if not sys.stdout.isatty():
        with open(path, "rb") as file:
            while block := file.read(1 << 16):
                sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        return
    from warpforge.cli.plain import plain

    with open(path, encoding="utf-8", errors="backslashreplace", newline="\n") as text:
        for line in text:
            print(plain(line.rstrip("\n")))


def when(started: float) -> str:
    """A moment, in the time zone of here."""
    from time import localtime, strftime

    return strftime("%Y-%m-%d %H:%M:%S", localtime(started))


def end(runs: Runs, entry: RunEntry) -> str:
    """How an execution ended, in a word or two."""
    if entry.begun:
        return "running" if runs.is_running(entry) else "killed"
    if entry.error:
        return entry.error.removeprefix("warpforge-error-")
    return "ok" if entry.exit_code == 0 else f"exit {entry.exit_code}"
