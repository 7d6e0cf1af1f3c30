"""A report as one page of HTML that needs nothing else: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Iterator
from time import localtime, strftime
from typing import TYPE_CHECKING, Final

from warpforge import __version__
from warpforge.cli.plain import plain
from warpforge.cli.reasons import lines
from warpforge.cli.render import seconds
from warpforge.cli.report_css import CSS
from warpforge.cli.units import size
from warpforge.picture.graph import Node
from warpforge.picture.graph_svg import svg
from warpforge.picture.markup import text as _text

if TYPE_CHECKING:
    from warpforge.engine.account import Account, PlotAccount, StepAccount
    from warpforge.store.run_entry import RunEntry

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
GRAPH: Final = 1500  # steps; more would be no picture any more
WORDS: Final = {"hit": "memo", "run": "ran", "failed": "failed", "left": "not begun"}


def page(account: Account) -> Iterator[str]:
    """The page, piece by piece."""
    names = [plot.note.name or "/".join(plot.note.document.split("/")[-2:]) for plot in account.plots]
    title = ", ".join(names) or "nothing"
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{CSS}</style></head><body>"
    )
    yield from _head(account, title)
    number = 0
    for plot in account.plots:
        if len(account.plots) > 1:
            yield f"<h2>{_text(plot.note.name or plot.note.document)}</h2>"
        yield from _plot(account, plot, number)
        number += len(plot.steps)
    yield from _hermeticity(account)
    yield (
        f'<p class="dim" style="margin-top:2.5rem">warpforge {__version__}, '
        f"command {_text(account.invocation.id)}</p></body></html>\n"
    )


def _head(account: Account, title: str) -> Iterator[str]:
    invocation, steps = account.invocation, account.steps()
    yield f"<h1>{_text(title)}</h1>"
    yield f'<p class="dim">{_when(invocation.started)}, {seconds(invocation.seconds)}'
    yield f", at most {invocation.jobs} at once</p>" if invocation.jobs else "</p>"
    for plot in account.plots:
        if plot.note.error:
            yield f'<p class="warn">it failed: {_text(plot.note.error.removeprefix("warpforge-error-"))}</p>'
    yield '<div class="tiles">'
    for verdict in ("run", "hit", "failed", "left"):
        found = [step for step in steps if step.note.verdict == verdict]
        if found or verdict in ("run", "hit"):
            yield _tile(verdict, str(len(found)), _tile_words(verdict, found))
    if invocation.moved[0]:
        yield _tile("", size(invocation.moved[0]), f"fetched in {seconds(invocation.moved[1])}")
    yield "</div>"


def _tile(kind: str, number: str, words: str) -> str:
    return f'<div class="tile {kind}"><b>{number}</b><span>{_text(words)}</span></div>'


def _tile_words(verdict: str, steps: list[StepAccount]) -> str:
    if verdict == "run":
        return f"ran, {seconds(sum(step.note.seconds for step in steps))}"
    if verdict == "hit":
        saved = [step.run.duration for step in steps if step.run]
        return "from the memo" + (f", {seconds(sum(saved))} saved" if saved else "")
    return WORDS[verdict]


def _plot(account: Account, plot: PlotAccount, first: int) -> Iterator[str]:
    if plot.note.results:
        yield "<h2>Results</h2><div class='card'>"
        yield _table([(label, ware) for label, ware in plot.note.results.items()])
        yield "</div>"
    if len(plot.steps) > 1 and len(plot.steps) <= GRAPH:
        yield "<h2>Graph</h2>"
        yield f'<div class="card graph">{svg([_node(step) for step in plot.steps], links=True, first=first)}</div>'
    yield from _timeline(account, plot, first)
    yield "<h2>Steps</h2>"
    for number, step in enumerate(plot.steps, first):
        yield from _step(step, number)


def _node(step: StepAccount) -> Node:
    note = step.note
    took = note.seconds or (step.run.duration if step.run and note.verdict == "failed" else 0.0)
    words = WORDS[note.verdict] + (f" · {seconds(took)}" if took else "")
    return Node(note.path, note.verdict, words, tuple(note.needs))


def _timeline(account: Account, plot: PlotAccount, first: int) -> Iterator[str]:
    begin = account.invocation.started
    rows = [
        (number, step, step.run)
        for number, step in enumerate(plot.steps, first)
        if step.run is not None and step.run.invocation == account.invocation.id
    ]
    if not rows:
        return
    whole = max(account.invocation.seconds, *(run.started + run.duration - begin for _, _, run in rows), 0.001)
    rows.sort(key=lambda row: row[2].started)
    yield '<h2>Timeline</h2><div class="card"><div class="time">'
    for number, step, run in rows:
        yield f'<a href="#step-{number}" title="{_text(step.note.path)}">{_text(step.note.path or "formula")}</a>'
        yield f'<span class="track">{"".join(_bars(run, begin, whole, failed=step.note.verdict == "failed"))}</span>'
        yield f'<span class="took">{seconds(run.duration)}</span>'
    yield '</div><p class="key">'
    for kind, words in (("supply", "inputs"), ("", "action"), ("gather", "outputs"), ("failed", "failed")):
        colour = f"var(--{kind or 'run'})"
        yield f'<i style="background:{colour}"></i>{words}'
    yield f" &nbsp; the whole width is {seconds(whole)}</p></div>"


def _bars(run: RunEntry, begin: float, whole: float, *, failed: bool) -> Iterator[str]:
    phases = [phase for phase in run.phases if not phase[0].startswith("pack")] or [("box", 0.0, run.duration)]
    for phase, offset, took in phases:
        left = max(0.0, (run.started + offset - begin) / whole * 100)
        kind = "failed" if failed and phase == "box" else phase
        yield (
            f'<i class="{kind}" style="left:{min(left, 99.7):.2f}%;width:{took / whole * 100:.2f}%" '
            f'title="{_text(phase)} {seconds(took)}"></i>'
        )


def _step(step: StepAccount, number: int) -> Iterator[str]:
    note, run = step.note, step.run
    is_open = " open" if note.verdict == "failed" else ""
    yield f'<details id="step-{number}"{is_open}><summary><b>{_text(note.path or "formula")}</b>'
    if run is not None and not run.hermetic:
        yield '<span class="badge" style="background:#b07a1e">not hermetic</span>'
    yield f'<span class="badge {note.verdict}">{WORDS[note.verdict]}</span>'
    took = note.seconds or (run.duration if run else 0.0)
    yield f'<span class="took">{seconds(took)}{" saved" if note.verdict == "hit" else ""}</span></summary><div>'
    if step.reason is not None:
        yield f"<h3>Why it ran</h3><pre>{_text(chr(10).join(lines(step.reason)))}</pre>"
    if run is not None:
        yield from _run(run, note.verdict)
    elif note.verdict == "hit":
        yield '<p class="dim">Its result was made elsewhere: no run of it is in the log.</p>'
    if step.said:
        cut = " (its end)" if step.cut else ""
        said = "\n".join(plain(line) for line in step.said.splitlines())
        yield f"<h3>What it said{cut}</h3><pre>{_text(said)}</pre>"
    elif run is not None and run.output_bytes:
        yield f'<p class="dim">It said {size(run.output_bytes)}, which are not kept or not shown here.</p>'
    yield "</div></details>"


def _run(run: RunEntry, verdict: str) -> Iterator[str]:
    if run.inputs:
        rows = [(port, ware, run.origins.get(port, "")) for port, ware in run.inputs.items()]
        yield "<h3>In</h3>" + _table([(port, f"{ware}\n{said}" if said else ware) for port, ware, said in rows])
    if run.outputs:
        yield "<h3>Out</h3>" + _table([*run.outputs.items()])
    facts = [
        ("formula", run.formula_id),
        ("run", run.id),
        ("when", _when(run.started) + (" (an earlier command)" if verdict == "hit" else "")),
        ("end", run.error.removeprefix("warpforge-error-") or f"exit code {run.exit_code}"),
        ("phases", ", ".join(f"{phase} {seconds(took)}" for phase, _, took in run.phases)),
        ("box", run.sandbox),
        ("limits", ", ".join(f"{limit}: {how}" for limit, how in run.limits.items())),
        ("hermetic", "yes" if run.hermetic else "no"),
        ("because", ", ".join(run.why)),
        ("memoised", "yes" if run.memoised else "no"),
    ]
    yield "<h3>How</h3>" + _table([(name, value) for name, value in facts if value])


def _hermeticity(account: Account) -> Iterator[str]:
    """What depends on more than its hashes, in one place."""
    found = [(step.note.path, step.run.why) for step in account.steps() if step.run and not step.run.hermetic]
    ingests = {
        origin: step.note.path
        for step in account.steps()
        if step.run
        for origin in step.run.origins.values()
        if origin.startswith(("ingest:", "candidate:")) and not origin.startswith("ingest:literal:")
    }
    yield "<h2>Hermeticity</h2><div class='card'>"
    if not found and not ingests:
        yield "<p>Every step depends on its hashes alone.</p>"
    for path, why in found:
        yield f'<p class="warn"><b>{_text(path or "formula")}</b> is not hermetic: {_text(", ".join(why))}</p>'
    for origin, path in ingests.items():
        yield f'<p class="warn"><code>{_text(origin)}</code>, {_from(origin)}, is an input of {_text(path)}</p>'
    yield "</div>"


def _from(origin: str) -> str:
    """What is wrong with a name, in the words of ``check --strict``."""
    if origin.startswith("candidate:"):
        return "what that module gave the last time here"
    if origin.startswith("ingest:oci:"):
        return "an image of the world" if "@sha256:" in origin else "an image by a tag, which may move"
    return "something of this machine"


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><td>{_text(name)}</td><td><code>{_text(value).replace(chr(10), '<br>')}</code></td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>"


def _when(moment: float) -> str:
    return strftime("%Y-%m-%d %H:%M:%S", localtime(moment))
