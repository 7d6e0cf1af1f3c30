"""A graph of steps as a value, and its spelling for Mermaid and Graphviz; ``graph_svg`` draws it itself.

``verdict``: hit, run, fetch, replay, waits, missing, failed or left: each picture gives it a colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

# fill, line and text, readable on light and dark paper
COLOURS: Final = {
    "hit": ("#e3f4e6", "#3a9a52", "#14391f"),
    "run": ("#e2eefc", "#2f72c4", "#10294a"),
    "fetch": ("#e6f5f8", "#1c8ca0", "#0b3740"),
    "replay": ("#f0e8fb", "#7b4fc0", "#2d174f"),
    "waits": ("#f4f4f2", "#8a8a84", "#333330"),
    "missing": ("#fdeaea", "#c93838", "#4d1010"),
    "failed": ("#fdeaea", "#c93838", "#4d1010"),
    "left": ("#f4f4f2", "#b0b0a8", "#555550"),
}


class Node(NamedTuple):
    """One step, or whatever else needs others. ``note``: a few words below its name, which ``label`` may replace.

    ``link``: where its box leads to, where pictures can lead anywhere.
    """

    path: str
    verdict: str
    note: str = ""
    needs: tuple[str, ...] = ()
    label: str = ""
    link: str = ""

    @property
    def name(self) -> str:
        return self.label or self.path.rpartition("/")[2] or "formula"

    @property
    def group(self) -> str:
        """The subplot it is in; what has a label of its own is in none."""
        return "" if self.label else self.path.rpartition("/")[0]


def mermaid(nodes: Iterable[Node]) -> str:
    """A flowchart; subplots are subgraphs."""
    nodes = [*nodes]
    ids = {node.path: f"s{number}" for number, node in enumerate(nodes)}
    lines = ["flowchart TD"]
    for group, depth, members in _grouped(nodes):
        indent = "  " * (depth + 1)
        if members is None:
            lines.append(f"{indent}end")
            continue
        if group:
            lines.append(f'{indent}subgraph g{len(lines)}["{_for_mermaid(group.rpartition("/")[2])}"]')
        for node in members:
            text = _for_mermaid(node.name) + (f"<br/><small>{_for_mermaid(node.note)}</small>" if node.note else "")
            lines.append(f'{indent}  {ids[node.path]}["{text}"]:::{node.verdict}')
    lines += [f"  {ids[need]} --> {ids[node.path]}" for node in nodes for need in node.needs if need in ids]
    used = dict.fromkeys(node.verdict for node in nodes)
    lines += [f"  classDef {v} fill:{COLOURS[v][0]},stroke:{COLOURS[v][1]},color:{COLOURS[v][2]}" for v in used]
    return "\n".join(lines) + "\n"


def dot(nodes: Iterable[Node]) -> str:
    """For Graphviz; subplots are clusters."""
    nodes = [*nodes]
    lines = [
        "digraph plot {",
        '  node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=11]',
        '  edge [color="#8a8a84"]',
    ]
    for group, depth, members in _grouped(nodes):
        indent = "  " * (depth + 1)
        if members is None:
            lines.append(f"{indent}}}")
            continue
        if group:
            lines.append(f"{indent}subgraph {_for_dot('cluster_' + group)} {{")
            lines.append(f"{indent}  label={_for_dot(group.rpartition('/')[2])} color={_for_dot('#b0b0a8')}")
        for node in members:
            fill, line, text = COLOURS[node.verdict]
            label = _for_dot(node.name + (f"\n{node.note}" if node.note else ""))
            lines.append(
                f'{indent}  {_for_dot(node.path)} [label={label} fillcolor="{fill}" color="{line}" fontcolor="{text}"]'
            )
    known = {node.path for node in nodes}
    lines += [f"  {_for_dot(need)} -> {_for_dot(node.path)}" for node in nodes for need in node.needs if need in known]
    return "\n".join([*lines, "}"]) + "\n"


def _grouped(nodes: list[Node]) -> Iterator[tuple[str, int, list[Node] | None]]:
    """Groups, outer before inner, with their depth and their own nodes; None where a group ends."""
    members: dict[str, list[Node]] = {"": []}
    for node in nodes:
        parts = node.group.split("/") if node.group else []
        for depth in range(1, len(parts) + 1):
            members.setdefault("/".join(parts[:depth]), [])
        members[node.group].append(node)
    open_: list[str] = []
    for group in sorted(members, key=lambda group: group.split("/") if group else []):
        while open_ and not group.startswith(open_[-1] + "/"):
            yield open_[-1], len(open_) - 1, None
            open_.pop()
        yield group, len(open_), members[group]
        if group:
            open_.append(group)
    while open_:
        yield open_[-1], len(open_) - 1, None
        open_.pop()


def _for_mermaid(text: str) -> str:
    return "".join(c if c.isalnum() or c in " _-./·" else f"#{ord(c)};" for c in text)


def _for_dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
