"""A graph of steps as SVG: a small layered layout of our own.

layers by longest path · long edges get a stop on every layer between · a few sweeps order each layer by the middle of
its neighbours · each stop is pulled to the middle of its neighbours as far as the others leave room

A graph that is deeper than wide goes down the page, another goes to the right. Source of the method: Sugiyama, Tagawa
and Toda, Methods for visual understanding of hierarchical system structures (1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from .graph import COLOURS, Node
from .markup import text as escape

SWEEPS: Final = 8
GAP: Final = 16.0  # between neighbours of one layer
LAYER_GAP: Final = 44.0
HEIGHT: Final = 42.0
MARGIN: Final = 14.0
LONGEST: Final = 26  # characters of a name that are shown
FONT: Final = "ui-sans-serif, system-ui, Helvetica, Arial, sans-serif"


class _Stop:
    """A node, or a bend of a long edge (then ``node`` is None)."""

    __slots__ = ("along", "at", "below", "layer", "node", "over", "size")

    def __init__(self, node: Node | None, layer: int, size: float) -> None:
        self.node = node
        self.layer = layer
        self.size = size  # along its layer
        self.along = 0.0  # its middle, along its layer
        self.at = 0.0  # across the layers
        self.over: list[_Stop] = []
        self.below: list[_Stop] = []


def svg(nodes: Iterable[Node], *, links: bool = False, first: int = 0) -> str:
    """The drawing. With ``links`` a node that has none leads to ``#step-N``, N its number from ``first``.

    Each node has its verdict as its class, so that a page may give it other colours.
    """
    nodes = [*nodes]
    layers, edges = _layer(nodes)
    deepest = len(layers)
    widest = max((sum(stop.node is not None for stop in layer) for layer in layers), default=0)
    sideways = widest > 2 * deepest
    widths = {node.path: _width(node) for node in nodes}
    for layer in layers:
        for stop in layer:
            if stop.node is not None:
                stop.size = HEIGHT if sideways else widths[stop.node.path]
    _order(layers)
    _place(layers)
    _spread(layers, widths, sideways=sideways)
    return _draw(nodes, layers, edges, widths, sideways=sideways, first=first if links else None)


def _width(node: Node) -> float:
    text = max(len(_short(node.name)) * 7.6, len(_short(node.group)) * 5.6, len(node.note) * 5.9)
    return max(72.0, text + 22.0)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _layer(nodes: Sequence[Node]) -> tuple[list[list[_Stop]], list[list[_Stop]]]:
    """Stops by layer, and every edge as the stops that it passes."""
    names = {node.path for node in nodes}
    depth: dict[str, int] = {}
    waiting = {node.path: {need for need in node.needs if need in names} for node in nodes}
    frees: dict[str, list[str]] = {}
    for path, needs in waiting.items():
        for need in needs:
            frees.setdefault(need, []).append(path)
    ready = [path for path, needs in waiting.items() if not needs]
    for path in ready:  # it grows meanwhile
        depth.setdefault(path, 0)
        for freed in frees.get(path, ()):
            depth[freed] = max(depth.get(freed, 0), depth[path] + 1)
            waiting[freed].discard(path)
            if not waiting[freed]:
                ready.append(freed)
    layers: list[list[_Stop]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    stops: dict[str, _Stop] = {}
    for node in nodes:
        stops[node.path] = stop = _Stop(node, depth[node.path], 0.0)
        layers[stop.layer].append(stop)
    edges = [_edge(stops[need], stops[node.path], layers) for node in nodes for need in node.needs if need in stops]
    return layers, edges


def _edge(start: _Stop, end: _Stop, layers: list[list[_Stop]]) -> list[_Stop]:
    way = [start]
    for layer in range(start.layer + 1, end.layer):
        bend = _Stop(None, layer, 4.0)
        layers[layer].append(bend)
        way.append(bend)
    way.append(end)
    for upper, lower in pairwise(way):
        upper.below.append(lower)
        lower.over.append(upper)
    return way


def _order(layers: list[list[_Stop]]) -> None:
    """Sort each layer by where its neighbours stand, down and up again."""
    for layer in layers:
        for number, stop in enumerate(layer):
            stop.along = float(number)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = {}
            for stop in layer:
                near = stop.over if down else stop.below
                wanted[stop] = sum(other.along for other in near) / len(near) if near else stop.along
            layer.sort(key=lambda stop: wanted[stop])
            for number, stop in enumerate(layer):
                stop.along = float(number)


def _place(layers: list[list[_Stop]]) -> None:
    """Give every stop its middle along its layer: where its neighbours are, as far as there is room."""
    for layer in layers:
        at = 0.0
        for stop in layer:
            stop.along = at + stop.size / 2
            at += stop.size + GAP
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = []
            for stop in layer:
                near = stop.over + stop.below if sweep > SWEEPS // 2 else (stop.over if sweep % 2 == 0 else stop.below)
                wanted.append(sum(other.along for other in near) / len(near) if near else stop.along)
            _fit(layer, wanted)
    least = min((stop.along - stop.size / 2 for layer in layers for stop in layer), default=0.0)
    for layer in layers:
        for stop in layer:
            stop.along += MARGIN - least


def _fit(layer: list[_Stop], wanted: list[float]) -> None:
    """Nearest to what is wanted, in order and without overlap: neighbours that collide move as one block."""
    blocks: list[list[float]] = []  # sum of wishes less offsets, members, extent; each block's offsets are implied
    sizes: list[float] = []
    for number, stop in enumerate(layer):
        gap = 0.0 if not number else (layer[number - 1].size + stop.size) / 2 + GAP
        sizes.append(gap)
        blocks.append([wanted[number], 1.0, 0.0])
        while len(blocks) > 1:
            last, before = blocks[-1], blocks[-2]
            first_of_last = sum(int(block[1]) for block in blocks[:-1])
            shift = before[2] + sizes[first_of_last]
            if before[0] / before[1] + shift <= last[0] / last[1]:
                break
            blocks[-2:] = [[before[0] + last[0] - shift * last[1], before[1] + last[1], shift + last[2]]]
    number = 0
    for total, members, _ in blocks:
        at = total / members
        for index in range(int(members)):
            at += sizes[number] if index else 0.0
            layer[number].along = at
            number += 1


def _spread(layers: list[list[_Stop]], widths: dict[str, float], *, sideways: bool) -> None:
    """Give every layer its middle across."""
    at = MARGIN
    for layer in layers:
        extent = max((widths[s.node.path] for s in layer if s.node is not None), default=0.0) if sideways else HEIGHT
        for stop in layer:
            stop.at = at + extent / 2
        at += extent + LAYER_GAP * (1.8 if sideways else 1)


def width_of(drawn: str) -> int:
    """How many pixels wide a picture is that ``svg`` gave."""
    return int(drawn.split(' width="', 1)[1].partition('"')[0])


def _draw(
    nodes: Sequence[Node],
    layers: list[list[_Stop]],
    edges: list[list[_Stop]],
    widths: dict[str, float],
    *,
    sideways: bool,
    first: int | None,
) -> str:
    boxes: dict[str, tuple[float, float]] = {}
    for layer in layers:
        for stop in layer:
            if stop.node is not None:
                boxes[stop.node.path] = (stop.at, stop.along) if sideways else (stop.along, stop.at)
    width = max((x + widths[path] / 2 for path, (x, _) in boxes.items()), default=0.0) + MARGIN
    height = max((y + HEIGHT / 2 for _, y in boxes.values()), default=0.0) + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="{FONT}" role="img" aria-label="the graph of steps">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0.5 8 4 0 7.5z" fill="#8a8a84"/></marker></defs>',
        '<g fill="none" stroke="#8a8a84" stroke-width="1.2">',
        *(_path(way, widths, sideways=sideways) for way in edges),
        "</g>",
    ]
    for number, node in enumerate(nodes, first or 0):
        link = node.link or ("" if first is None else f"#step-{number}")
        out += _box(node, boxes[node.path], widths[node.path], link)
    return "\n".join([*out, "</svg>"]) + "\n"


def _path(way: list[_Stop], widths: dict[str, float], *, sideways: bool) -> str:
    first, last = way[0], way[-1]
    assert first.node is not None and last.node is not None
    half = [widths[stop.node.path] / 2 if sideways else HEIGHT / 2 for stop in (first, last) if stop.node]
    points = [(first.at + half[0], first.along)]
    points += [(stop.at, stop.along) for stop in way[1:-1]]
    points.append((last.at - half[1] - 1.5, last.along))
    if not sideways:
        points = [(along, at) for at, along in points]
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        if sideways:
            middle = (x0 + x1) / 2
            text += f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        else:
            middle = (y0 + y1) / 2
            text += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return f'<path d="{text}" marker-end="url(#tip)"/>'


def _box(node: Node, middle: tuple[float, float], width: float, link: str) -> list[str]:
    fill, line, text = COLOURS[node.verdict]
    x, y = middle
    dashed = ' stroke-dasharray="4 3"' if node.verdict in ("waits", "left") else ""
    name = escape(_short(node.name))
    above = escape(_short(node.group)) + "/"
    title = escape(f"{node.path or 'formula'}: {node.note}")
    parts = [
        f'<a class="{node.verdict}" href="{escape(link)}">' if link else f'<g class="{node.verdict}">',
        f"<title>{title}</title>",
        f'<rect x="{x - width / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{width:.1f}" height="{HEIGHT:.0f}" rx="8" '
        f'fill="{fill}" stroke="{line}" stroke-width="1.4"{dashed}/>',
        f'<text x="{x:.1f}" text-anchor="middle" fill="{text}" font-size="13" font-weight="600" '
        f'y="{y - (1 if node.note else -4.5):.1f}">{name}</text>',
        f'<text x="{x:.1f}" y="{y + 14:.1f}" text-anchor="middle" fill="{text}" fill-opacity="0.75" font-size="10.5">'
        f"{escape(node.note)}</text>"
        if node.note
        else "",
        f'<text x="{x - width / 2:.1f}" y="{y - HEIGHT / 2 - 4:.1f}" fill="#8a8a84" font-size="10">{above}</text>'
        if node.group
        else "",
        "</a>" if link else "</g>",
    ]
    return [part for part in parts if part]
