"""The catalog shipped with the project: every document is right, and it says what the demo's module does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.world import World

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "catalogs" / "warpforge"
DEMO = PROJECT / "fixtures" / "lmdb"


@pytest.fixture
def shipped(world: World) -> World:
    """A root workspace with the shipped catalog."""
    world.root_workspace()
    shutil.copytree(SHIPPED, world.path(".warpforge/catalogs/warpforge"))
    return world


def release(world: World, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = world.run("--json", "catalog", "show", reference).one("release")
    return found


def test_every_document_is_right(shipped: World) -> None:
    shipped.run("check", *sorted(SHIPPED.rglob("*.json")))
    listed = shipped.run("--json", "catalog", "ls").one("catalog")
    assert sorted(listed["refs"]) == [
        "lmdb.tech/lmdb:v0.9.31:src",
        "warpforge.demo/lmdb:v1:driver",
        "warpforge.demo/lmdb:v1:program",
        "ziglang.org/zig:v0.13.0:amd64-linux",
    ]


def test_the_replay_builds_as_the_demo_does(shipped: World) -> None:
    name = release(shipped, "warpforge.demo/lmdb:v1")["metadata"]["replay"]
    path = SHIPPED / "warpforge.demo" / "lmdb" / "_replays" / f"{name}.json"
    assert shipped.run("id", path).out.strip() == name
    replay = json.loads(path.read_bytes())["plot.v1"]
    demo = json.loads((DEMO / "plot.wf").read_bytes())["plot.v1"]
    assert replay["steps"]["build"] == demo["steps"]["build"]
    assert {name: replay["inputs"][name] for name in ("zig", "src")} == {
        name: demo["inputs"][name] for name in ("zig", "src")
    }


def test_the_driver_is_the_one_published(shipped: World) -> None:
    packed = shipped.run("ware", "pack", "--filters", "mode=canonical", DEMO / "driver").out.strip()
    assert packed == release(shipped, "warpforge.demo/lmdb:v1:driver")["items"]["driver"]
