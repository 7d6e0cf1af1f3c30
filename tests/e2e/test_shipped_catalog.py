"""The catalog shipped with the project: its documents are right, all of it can be built, and one entry is."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packages import DOWNLOADS, PACKAGES, ZIG, fetch
from support import shipped as original
from support.world import World

from warpforge.engine.look import Looker
from warpforge.model.atoms import Ingest
from warpforge.model.ident import plot_id
from warpforge.model.serial import load_plot

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "catalogs" / "warpforge"
MODULES = PROJECT / "catalogs" / "modules"


@pytest.fixture
def shipped(world: World) -> World:
    """A root workspace with the shipped catalog."""
    world.root_workspace()
    shutil.copytree(SHIPPED, world.path(".warpforge/catalogs/warpforge"))
    return world


def test_every_document_is_right(shipped: World) -> None:
    said = shipped.run("--json", "catalog", "check")
    # where its packages and directories come from the releases say in their metadata: there are no mirrors
    assert {fault["reason"] for fault in said.all("fault")} <= {"ware"}
    documents = [*SHIPPED.rglob("*.json"), *MODULES.rglob("*.wf")]
    assert len(documents) > 60
    assert not [problem for path in documents for problem in original.problems(str(path), path.read_bytes())]


def test_each_replay_is_its_module_as_people_edit_it() -> None:
    for path in sorted(MODULES.glob("*/plot.wf")):
        module = json.loads(path.with_name("module.wf").read_bytes())["module.v1"]["name"]
        (replay,) = (SHIPPED / module / "_replays").iterdir()
        assert replay.stem == plot_id(load_plot(path.read_bytes(), str(path)).noun)
        assert replay.read_bytes() == path.read_bytes()


def test_all_that_nobody_builds_says_where_it_comes_from() -> None:
    pinned = {(one.package, one.version, one.file, one.sha256) for one in PACKAGES}
    for path in SHIPPED.rglob("_releases/*.json"):
        release = json.loads(path.read_bytes())
        said = release["metadata"]
        if "package" in said:
            assert (said["package"], release["releaseName"], said["file"], said["sha256"]) in pinned
        elif "replay" not in said:
            for item, ware in release["items"].items():
                assert str(Looker().ingest(Ingest("dir", said[f"directory.{item}"]), PROJECT)) == ware


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the compilers in catalogs/ are for x86_64")
def test_an_entry_is_built_again(needs_box: None) -> None:
    """One of all; ``make replay`` builds the others, too."""
    try:
        fetch(DOWNLOADS, ZIG, tries=1)
    except RuntimeError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, PROJECT / "scripts" / "replay.py", "ziglang.org/zig"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same      ziglang.org/zig:v0.13.0:amd64-linux" in done.stdout
