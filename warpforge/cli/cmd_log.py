"""``warpforge log``: what ran, when, how long, and what it said."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.cli.render import seconds
from warpforge.errors import Missing
from warpforge.store.store import Store
from warpforge.workspace.find import find_stack

if TYPE_CHECKING:
    from warpforge.store.runs import RunEntry


@click.command(cls=Command, name="log")
@click.argument("what", required=False, metavar="[RUN|STEP|FORMULA|WARE]")
@click.option("--count", "-n", type=click.IntRange(min=1), default=20, show_default=True, help="How many to list.")
@pass_common
def log(common: Common, what: str | None, *, count: int) -> None:
    """List executions, newest first; with RUN, show that one and its whole output.

    RUN is the id of a run or its beginning (6 characters or more). A step, formula id or WareId lists the
    executions that it was part of; if there is only one, it is shown.
    """
    settings = common.settings
    store = Store(find_stack(settings.cwd, settings.home).root.internal, warehouse=settings.warehouse)
    found = [*islice(store.runs.entries(), count)] if what is None else store.runs.find(what)
    if what is not None and not found:
        raise Missing("missing", f"no run is known by {what!r}: warpforge log lists them", what=what)
    if what is not None and len(found) == 1:
        _show(common, store, found[0])
    elif common.json:
        for entry in found[:count]:
            print(to_json({"run": entry}))
    else:
        _list(common, found[:count])


def _list(common: Common, entries: list[RunEntry]) -> None:
    if not entries:
        common.note("nothing has run here yet")
    for entry in entries:
        step = "/".join(entry.step) or "formula"
        line = f"{entry.id[:8]}  {_when(entry)}  {seconds(entry.duration):>8}  {_end(entry):<10}  {step}"
        common.result(printable(line + (f"  ({entry.plot})" if entry.plot else "")))


def _show(common: Common, store: Store, entry: RunEntry) -> None:
    path = store.runs.log_path(entry)
    if common.json:
        said = open(path, "rb").read().decode("utf-8", "backslashreplace") if path else ""
        print(to_json({"run": entry, "output": said}))
        return
    rows = [
        ("run", entry.id),
        ("step", "/".join(entry.step) or "-"),
        ("module", entry.plot),
        ("formula", entry.formula_id),
        ("when", f"{_when(entry)}, {seconds(entry.duration)}"),
        ("end", _end(entry)),
        ("sandbox", entry.sandbox),
        ("hermetic", "yes" if entry.hermetic else "no: " + ", ".join(entry.why)),
        *((f"in  {port}", ware) for port, ware in entry.inputs.items()),
        *((f"out {label}", ware) for label, ware in entry.outputs.items()),
    ]
    for name, value in rows:
        if value:
            common.note(f"{name:<10}  {value}")
    if path:
        with open(path, "rb") as file:
            while block := file.read(1 << 16):
                sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()


def _when(entry: RunEntry) -> str:
    from time import localtime, strftime

    return strftime("%Y-%m-%d %H:%M:%S", localtime(entry.started))


def _end(entry: RunEntry) -> str:
    if entry.error:
        return entry.error.removeprefix("warpforge-error-")
    return "ok" if entry.exit_code == 0 else f"exit {entry.exit_code}"
