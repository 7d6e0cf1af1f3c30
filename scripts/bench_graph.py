"""Many trivial steps: all cached and all cold, beside what else builds graphs, each on the very same graph."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench_row import SCRATCH, Row, command, median_of
from graph_tools import BuildStream, Graph, Make, Ninja, Nix, Tool, Warpforge, chain, fan, grid

CACHED_ROUNDS = 5
COLD_ROUNDS = 1
# peer, and how many times as long as it we may take with everything cached, and cold; None: told, and not measured by
PEERS: list[tuple[type[Tool], float | None, float | None]] = [
    (Nix, 1.0, 0.6),
    (Ninja, None, None),
    (Make, None, None),
]


def rows() -> Iterator[Row]:
    for graph in (chain(1000), fan(1000), grid(10, 100)):
        yield from _graph(graph, PEERS)
    # a hundredth of a second a step is far from its league: a smaller graph
    yield from _graph(grid(10, 10), [(BuildStream, None, None)])
    yield from _sleepers()
    yield from _memory()


def _graph(graph: Graph, peers: list[tuple[type[Tool], float | None, float | None]]) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH, ignore_cleanup_errors=True) as directory:
        base = Path(directory)
        ours_cold, ours_cached = _measure(Warpforge(base / "ours", graph))
        for kind, cached, cold in peers:
            absent = [tool for tool in kind.needs if shutil.which(tool) is None]
            title = kind.name if not absent else f"{kind.name} (not installed: make bench-setup)"
            times: tuple[float | None, float | None] = (None, None)
            if not absent:
                times = _measure(kind(base / kind.__name__, graph))
            yield Row(f"{graph.name}, all cached", ours_cached, title, times[1], cached)
            yield Row(f"{graph.name}, all cold, -j2", ours_cold, title, times[0], cold)


def _measure(tool: Tool) -> tuple[float, float]:
    """Seconds cold and cached."""
    build = tool.build()
    cold = median_of(build, rounds=COLD_ROUNDS, before=tool.reset, warm=False)
    return cold, median_of(build, rounds=CACHED_ROUNDS)


def _sleepers() -> Iterator[Row]:
    """100 independent steps of 0.1 s with as many jobs as cores: the ideal is what the sleeping alone takes."""
    jobs = os.cpu_count() or 1
    graph = Graph("100 independent steps of 0.1 s", {f"s{n}": [] for n in range(100)})
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH, ignore_cleanup_errors=True) as directory:
        base = Path(directory)
        ours = Warpforge(base / "ours", graph)
        root = base / "ours" / "workspace"
        plot = json.loads((root / "plot.wf").read_text())
        for step in plot["plot.v1"]["steps"].values():
            step["protoformula"]["action"]["script"]["contents"].insert(0, "sleep 0.1")
        (root / "plot.wf").write_text(json.dumps(plot))
        env = {"PATH": os.environ["PATH"], "HOME": str(base / "ours")}
        warpforge = Path(sys.executable).parent / "warpforge"
        run = command([warpforge, "--quiet", "run", "--force", "-j", str(jobs), "plot.wf"], cwd=root, env=env)
        del ours
        seconds = median_of(run, rounds=3)
        yield Row(f"{graph.name}, -j{jobs}", seconds, "the sleeping alone", 0.1 * -(-100 // jobs), 1.15)


def _memory() -> Iterator[Row]:
    """What the engine takes at most: cold and cached. The peer is the budget of packing, 128 MB."""
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH, ignore_cleanup_errors=True) as directory:
        tool = Warpforge(Path(directory) / "ours", grid(10, 100))
        look: list[tuple[str, Callable[[], float]]] = [("all cold", tool.peak), ("all cached", tool.peak)]
        for when, peak in look:
            yield Row(f"memory of the 10 x 100 grid, {when}", peak(), "the budget of a pack", 128.0, 1.0, "MB")
