"""Every document under fixtures/ keeps its promise (see fixtures/README.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.world import World

FIXTURES = Path(__file__).parents[2] / "fixtures"
ACCEPTED = sorted(path for path in (FIXTURES / "accepted").iterdir() if path.name != "ids.json")
REFUSED = sorted((FIXTURES / "refused").glob("*/*"))
IDS: dict[str, str] = json.loads((FIXTURES / "accepted" / "ids.json").read_bytes())


def test_check_accepts(world: World) -> None:
    world.run("check", *ACCEPTED, *sorted(FIXTURES.glob("lmdb/*.wf")), *sorted(FIXTURES.glob("brotli/*.wf")))


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_check_refuses(world: World, path: Path) -> None:
    result = world.fail("check", path)
    assert (result.code, result.exit) == (path.parent.name, 2), str(result)
    assert str(path) in result.causes[-1]["message"]


def test_ids_stay(world: World) -> None:
    """An id is a promise: one that changes here has changed for everybody."""
    assert {path.name: world.run("id", path).out.strip() for path in ACCEPTED if path.name in IDS} == IDS
    assert {path.name for path in ACCEPTED} - IDS.keys() == {"module.wf"}, "every formula and plot has its id here"


def test_fmt_leaves_what_is_canonical(world: World) -> None:
    copies = [world.write(path.name, path.read_bytes()) for path in ACCEPTED]
    world.run("fmt", *copies)
    changed = {copy.name for copy, path in zip(copies, ACCEPTED, strict=True) if copy.read_bytes() != path.read_bytes()}
    assert changed == {"commas-forgiven.plot.wf"}
    assert b",\n\t}" not in world.path("commas-forgiven.plot.wf").read_bytes()
