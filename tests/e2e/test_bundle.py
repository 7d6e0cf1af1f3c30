"""``warpforge catalog bundle``: a workspace gets all that its plots name, and then needs no other catalog."""

from __future__ import annotations

import json
import shutil

import pytest
from support.plots import plot, script, subplot
from support.world import World

LIB = "a.org/lib"
BUSYBOX = "warpsys.org/busybox"


@pytest.fixture
def released(box_world: World) -> World:
    """A library in the catalog ``test``, and a workspace ``near`` with a module that takes it in a subplot's step."""
    step = script("mkdir /out", "echo one > /out/lib", outputs={"o": "/out"})
    box_world.write("lib/module.wf", {"module.v1": {"name": LIB}})
    box_world.write("lib/plot.wf", plot({"make": step}, {"lib": "pipe:make:o"}))
    box_world.run("catalog", "-n", "test", "release", "v1", "lib")
    use = script(
        "cat /lib/lib", inputs={"/": f"catalog:{BUSYBOX}:v1.35.0:amd64-static", "/lib": f"catalog:{LIB}:v1:lib"}
    )
    box_world.write(
        "near/plot.wf", {"plot.v1": {"inputs": {}, "steps": {"sub": subplot({}, {"use": use}, {})}, "outputs": {}}}
    )
    (box_world.path("near") / ".warpforge").mkdir()
    return box_world


def bundled(world: World) -> set[str]:
    top = world.path("near/.warpforge/catalog")
    return {str(path.parent.relative_to(top)) for path in top.rglob("_module.json")}


def test_what_subplots_name_is_copied_with_its_replay(released: World) -> None:
    said = released.run("--json", "catalog", "bundle", "near").all("bundled")
    assert [one["ref"] for one in said] == [f"{LIB}:v1", f"{BUSYBOX}:v1.35.0"]
    assert bundled(released) == {LIB, BUSYBOX}
    assert [*released.path(f"near/.warpforge/catalog/{LIB}/_replays").iterdir()]
    # with no other catalog the plot still runs
    shutil.rmtree(released.path(".warpforge/catalogs"))
    assert "one" in released.run("run", "near/plot.wf").err
    # and it is bundled already
    assert released.run("--json", "catalog", "bundle", cwd="near").all("bundled") == []


def test_what_says_something_else_is_kept_unless_forced(released: World) -> None:
    released.run("catalog", "bundle", "near")
    released.run("catalog", "-n", "test", "-f", "release", "-m", "note=new", "v1", "lib")
    failed = released.fail("catalog", "bundle", "near")
    assert failed.code == "already-exists"
    released.run("catalog", "-f", "bundle", "near")
    path = f"near/.warpforge/catalog/{LIB}/_releases/v1.json"
    assert released.read_json(path)["metadata"]["note"] == "new"


def test_replays_are_followed(released: World) -> None:
    released.run(
        "ware", "cat", json.loads(released.run("--json", "catalog", "show", LIB).out)["release"]["items"]["lib"], "lib"
    )
    released.write(
        "near/plot.wf", plot({"a": script("true", inputs={"/": f"catalog:{LIB}:v1:lib"})}, None, {"rootfs": "literal:"})
    )
    released.run("catalog", "bundle", "near")
    assert bundled(released) == {LIB}
    released.run("catalog", "bundle", "-r", "near")
    assert bundled(released) == {LIB, BUSYBOX}


def test_wares_come_along(released: World) -> None:
    released.run("catalog", "bundle", "--wares", "near")
    shutil.rmtree(released.path(".warpforge/warehouse"))
    shutil.rmtree(released.path(".warpforge/cache"))
    assert "one" in released.run("run", "--force", "near/plot.wf").err


def test_all_that_is_missing_is_named_and_the_root_is_refused(released: World) -> None:
    released.write(
        "near/plot.wf", plot({"a": script("true")}, None, {"x": "catalog:b.org/x:v1:a", "y": "catalog:b.org/y:v1:a"})
    )
    failed = released.fail("catalog", "bundle", "near")
    assert failed.exit == 3 and "b.org/x" in failed.error["message"] and "b.org/y" in failed.error["message"]
    assert not bundled(released)
    failed = released.fail("catalog", "bundle", "lib")
    assert failed.code == "workspace" and "mkdir" in failed.error["message"]
