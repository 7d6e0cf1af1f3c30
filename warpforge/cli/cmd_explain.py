"""``warpforge explain``: where a ware comes from, and who uses it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import CATALOG_AT

if TYPE_CHECKING:
    from warpforge.engine.provenance import Known, Provenance
    from warpforge.model.atoms import WareId
    from warpforge.picture.graph import Node

DEEP: Final = 200  # levels of the tree that are shown


@click.command(cls=Command, name="explain")
@click.argument("what", metavar="WAREID|MODULE:RELEASE[:ITEM]")
@click.option("--used-by", is_flag=True, help="The other way round: who takes it.")
@click.option("--graph", type=click.Choice(["mermaid", "dot", "svg"]), help="Draw it instead.")
@click.option("--output", "-o", metavar="FILE", help="Where the drawing goes, instead of standard output.")
@CATALOG_AT
@pass_common
def explain(common: Common, what: str, *, used_by: bool, graph: str | None, output: str | None) -> None:
    """Tell where a ware comes from, back to what nobody made: releases, replays, executions, ingests, mirrors.

    A ware may be given by the first six or more characters of its hash.
    """
    if used_by and graph:
        refuse_argument("--graph draws where a ware comes from: leave out --used-by")
    if output and not graph:
        refuse_argument("--output is where the drawing of --graph goes")
    from warpforge.cli.cmd_ware import opened
    from warpforge.engine.provenance import Provenance

    with opened(common) as engine:
        provenance = Provenance(engine)
        wares = provenance.resolve(what)
        if used_by:
            for ware, name in wares.items():
                if len(wares) > 1 and not common.json:
                    common.result(printable(f"{ware}  {name}"))
                _show_uses(common, provenance, ware)
            return
        known = [*provenance.back(wares)]
    if graph is not None:
        _draw(graph, known, output)
    elif common.json:
        for one in known:
            print(to_json({"provenance": one.to_serial()}))
    else:
        for line in _tree(known, [*wares]):
            common.result(printable(line))


def _show_uses(common: Common, provenance: Provenance, ware: WareId) -> None:
    uses = [*provenance.used_by(ware)]
    for use in uses:
        if common.json:
            print(to_json({"use": {"ware": str(ware), **use._asdict()}}))
        else:
            common.result(printable(f"{use.kind:<7} {use.name}  ({use.at})"))
            for gave in use.gave:
                common.result(printable(f"          -> {gave}"))
    if not uses and not common.json:
        common.note(f"nothing that is known here takes {ware}")


def _tree(known: Sequence[Known], tops: Sequence[WareId]) -> Iterator[str]:
    """Each ware with what is known of it, what it was made from below it; one that was told already only by name."""
    by_id = {one.ware: one for one in known}
    told: set[WareId] = set()
    waiting: list[tuple[WareId, str, str, int]] = [(top, "", "", 0) for top in reversed(tops)]
    while waiting:
        ware, lead, below, depth = waiting.pop()
        one = by_id.get(ware)
        name = f"  {one.names[0]}" if one and one.names else ""
        if one is None or ware in told or depth > DEEP:
            yield f"{lead}{ware}{name}  (see above)" if ware in told else f"{lead}{ware}"
            continue
        told.add(ware)
        yield f"{lead}{ware}{name}{'' if one.here else '  (not here)'}"
        inputs = one.inputs
        rail = below + ("│ " if inputs else "  ")
        yield from (f"{rail}{line}" for line in _facts(one))
        for number, taken in enumerate(reversed(inputs)):
            last = number == 0
            waiting.append((taken, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), depth + 1))


def _facts(one: Known) -> Iterator[str]:
    from time import gmtime, strftime

    from warpforge.model.units import counted

    yield from (f"also {name}" for name in one.names[1:])
    for replay in one.replays:
        yield f"replay {replay.replay} of {replay.ref}"
        if replay.verdict:
            yield f"  {replay.verdict} when it was built again at {strftime('%Y-%m-%d %H:%M', gmtime(replay.judged))}"
        if replay.same:
            yield f"  {counted(len(replay.same), 'rebuilder')} made the same: {', '.join(replay.same)}"
        yield from (f"  {who} says {verdict}" for who, verdict in replay.other)
    for execution in one.executions:
        when = strftime("%Y-%m-%d %H:%M", gmtime(execution.started))
        yield f"made by {execution.step} of {execution.module}, run {execution.run[:8]} at {when}"
        yield f"  formula {execution.formula_id or 'with a secret'}"
    yield from (f"from {ingest}" for ingest in one.ingests)
    yield from (f"part {part} at {path} from {address}" for path, part, address in one.parts)
    yield from (f"mirror {mirror}" for mirror in one.mirrors)
    yield from (f"its release says {key}: {value}" for key, value in one.said)
    if not (one.said or one.replays or one.executions or one.ingests or one.parts or one.mirrors):
        yield "nobody here knows where it comes from" if one.here or one.names else "nobody here knows anything of it"


def _draw(kind: str, known: Sequence[Known], output: str | None) -> None:
    from warpforge.cli.files import write_output
    from warpforge.picture import graph, graph_svg

    nodes = [_node(one) for one in reversed(known)]
    text = {"mermaid": graph.mermaid, "dot": graph.dot, "svg": graph_svg.svg}[kind](nodes)
    if output is None:
        sys.stdout.write(text)
    else:
        write_output(output, text)


def _node(one: Known) -> Node:
    from warpforge.cli.render import short
    from warpforge.picture.graph import Node

    ways = [("replay", one.replays), ("run", one.executions), ("fetch", one.mirrors)]
    verdict = next((word for word, known in ways if known), "waits")
    if one.ingests or one.parts:
        verdict = "hit"
    label = one.names[0] if one.names else short(str(one.ware))
    made = (
        f"made by {one.executions[0].step}" if one.executions else one.ingests[0].split(" (")[0] if one.ingests else ""
    )
    return Node(str(one.ware), verdict, made or short(str(one.ware)), tuple(map(str, one.inputs)), label)
