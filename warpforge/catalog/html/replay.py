"""How a release is made: the graph of its replay, and each step."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from warpforge.model.atoms import CatalogRef, Literal, Pipe, WareId
from warpforge.model.formula import Action, Exec, Script
from warpforge.model.plot import Plot, PlotInput, Protoformula
from warpforge.picture.graph import Node
from warpforge.picture.graph_svg import svg, width_of
from warpforge.picture.markup import text

from .facts import ReleaseFacts, Target
from .parts import badge, table
from .site import Site, release_page

DRAWN: Final = 400  # boxes; more would be no picture any more
LEGEND: Final = {
    "fetch": "taken",
    "failed": "taken, a hazard",
    "missing": "not in this catalog",
    "run": "step",
    "hit": "result",
}
FITS: Final = 1000  # pixels of a graph from which on it is moved beside its frame, instead of made smaller
OPEN: Final = 2  # steps that are shown unfolded


class _Step(NamedTuple):
    """A protoformula of the plot or of a subplot, by its path; ``sources``: the box that each input comes from."""

    path: str
    body: Protoformula
    sources: tuple[str, ...]


def made(
    site: Site, page: str, release: ReleaseFacts, plot: Plot, target: Callable[[CatalogRef], Target]
) -> Iterator[str]:
    """The part of a release's page that tells of its replay."""
    inputs, steps, outputs = _read(plot)
    yield '<h2 id="replay">How it is made</h2>'
    from_hazards = {text: target(ref) for text, ref in _named(inputs) if target(ref).hazard is not None}
    for name in from_hazards:
        yield f'<div class="note danger" role="note"><b>Made from a hazard:</b> {text(name)}</div>'
    if len(inputs) + len(steps) + len(outputs) <= DRAWN:
        nodes = [
            *(_input_node(site, page, key, item, target) for key, item in inputs.items()),
            *(_step_node(step, number) for number, step in enumerate(steps)),
            *(Node(f"out {label}", "hit", "result", (need,), label) for label, need in outputs.items() if need),
        ]
        drawn = svg(nodes)
        fits = " fits" if width_of(drawn) <= FITS else ""
        yield f'<div class="card graph{fits}" tabindex="0" role="region" aria-label="The graph of the replay">'
        yield f"{drawn}</div>"
        present = {node.verdict for node in nodes}
        legend = "".join(f'<span class="{kind}">{words}</span>' for kind, words in LEGEND.items() if kind in present)
        yield f'<p class="key">{legend}</p>'
    for number, step in enumerate(steps):
        yield from _step(site, page, step, number, inputs, target, is_open=len(steps) <= OPEN)


def _named(inputs: dict[str, PlotInput]) -> Iterator[tuple[str, CatalogRef]]:
    for item in inputs.values():
        if isinstance(item.basis, CatalogRef):
            yield str(item.basis), item.basis


def _read(plot: Plot) -> tuple[dict[str, PlotInput], list[_Step], dict[str, str]]:
    """What is taken from outside by the box that stands for it, the steps, and which step makes each result."""
    inputs: dict[str, PlotInput] = {}
    steps: list[_Step] = []
    waiting: list[tuple[str, Plot, dict[str, str]]] = [("", plot, {})]
    while waiting:
        prefix, body, given = waiting.pop()
        scope = {label: given[label] for label in given}
        for label, item in body.inputs.items():
            if label not in scope:
                scope[label] = _source(prefix, body, scope, item, inputs)
        below = []
        for name, step in body.steps.items():
            path = prefix + name
            if isinstance(step.body, Plot):
                inner = {label: _source(prefix, body, scope, item, inputs) for label, item in step.body.inputs.items()}
                below.append((f"{path}/", step.body, inner))
            else:
                sources = [_source(prefix, body, scope, item, inputs) for item in step.body.inputs.values()]
                steps.append(_Step(path, step.body, (*sources,)))
        waiting += reversed(below)
    outputs = {label: _maker("", plot, output.pipe) for label, output in plot.outputs.items()}
    return inputs, steps, outputs


def _source(prefix: str, body: Plot, scope: dict[str, str], item: PlotInput, inputs: dict[str, PlotInput]) -> str:
    """The box that an input comes from; empty for a literal."""
    if isinstance(item.basis, Pipe):
        return _maker(prefix, body, item.basis) if item.basis.step else scope.get(item.basis.label, "")
    if isinstance(item.basis, Literal):
        return ""
    key = f"in {item.text}"  # no step's name has a blank
    inputs.setdefault(key, item)
    return key


def _maker(prefix: str, body: Plot, pipe: Pipe) -> str:
    """The protoformula whose output a pipe is, through as many subplots as there are."""
    while True:
        step = body.steps.get(pipe.step)
        if step is None:
            return ""
        path = prefix + pipe.step
        if not isinstance(step.body, Plot):
            return path
        output = step.body.outputs.get(pipe.label)
        if output is None:
            return ""
        prefix, body, pipe = f"{path}/", step.body, output.pipe


def _input_node(site: Site, page: str, key: str, item: PlotInput, target: Callable[[CatalogRef], Target]) -> Node:
    basis = item.basis
    if isinstance(basis, CatalogRef):
        found = target(basis)
        label = basis.module.partition("/")[2] or basis.module
        if not found.known:
            return Node(key, "missing", f"{basis.release}:{basis.item}", (), label)
        link = site.href(page, release_page(basis.module, basis.release))
        kind = "failed" if found.hazard is not None else "fetch"
        return Node(key, kind, f"{basis.release}:{basis.item}", (), label, link)
    if isinstance(basis, WareId):
        return Node(key, "fetch", "a ware", (), f"{basis.packtype}:{basis.hash[:10]}…")
    return Node(key, "missing", "not replayable", (), item.text)


def _step_node(step: _Step, number: int) -> Node:
    needs = tuple(dict.fromkeys(filter(None, step.sources)))
    return Node(step.path, "run", _kind(step.body.action), needs, link=f"#step-{number}")


def _kind(action: Action) -> str:
    if isinstance(action, Script):
        return "script"
    return "command" if isinstance(action, Exec) else type(action).__name__.lower()


def _step(
    site: Site,
    page: str,
    step: _Step,
    number: int,
    taken: dict[str, PlotInput],
    target: Callable[[CatalogRef], Target],
    *,
    is_open: bool,
) -> Iterator[str]:
    action = step.body.action
    network = badge("warn", "network", "its result may depend on the world")
    mark = network if isinstance(action, Exec | Script) and action.network is True else ""
    yield (
        f'<details class="step" id="step-{number}"{" open" if is_open else ""}><summary><b>{text(step.path)}</b> '
        f'{mark}<span class="dim">{_kind(action)}</span></summary><div>'
    )
    if isinstance(action, Script):
        yield f"<h4>Script of {text(action.interpreter)}</h4><pre>{text(chr(10).join(action.contents))}</pre>"
    elif isinstance(action, Exec):
        yield f"<h4>Command</h4><pre>{text(shlex.join(action.command))}</pre>"
    if step.body.inputs:
        rows = []
        for (port, item), source in zip(step.body.inputs.items(), step.sources, strict=True):
            value = _basis(site, page, item, target)
            if isinstance(item.basis, Pipe) and source in taken:
                value += f" <span class='dim'>is</span> {_basis(site, page, taken[source], target)}"
            rows.append((f"<code>{text(port)}</code>", value))
        yield f"<h4>Takes</h4>{table(rows)}"
    if step.body.outputs:
        outputs = step.body.outputs.items()
        rows = [(f"<code>{text(label)}</code>", f"<code>{text(gather.source)}</code>") for label, gather in outputs]
        yield f"<h4>Keeps</h4>{table(rows)}"
    yield "</div></details>"


def _basis(site: Site, page: str, item: PlotInput, target: Callable[[CatalogRef], Target]) -> str:
    if isinstance(item.basis, CatalogRef) and target(item.basis).known:
        link = site.href(page, release_page(item.basis.module, item.basis.release))
        return f'<a href="{link}"><code>{text(item.text)}</code></a>'
    return f"<code>{text(item.text)}</code>"
