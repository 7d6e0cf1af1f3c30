"""``warpforge catalog bump``: newer releases for what plots take, what they would change, and the plot with them."""

from __future__ import annotations

from typing import Any

import pytest
from support.plots import plot, script, subplot
from support.world import World

from warpforge.catalog.edit import edit
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import WareId
from warpforge.model.catalog import Release

LIB, TOOL = "a.org/lib", "a.org/tool"


def publish(world: World, module: str, name: str, ware: str, **metadata: str) -> None:
    with edit(Catalog(world.path(".warpforge/catalogs/test")), module) as changed:
        changed.put_release(Release(name, {"item": WareId.parse(ware)}, metadata))


@pytest.fixture
def app(box_world: World) -> World:
    """A plot that was run: one step needs nothing, one takes a library in a subplot, one takes what that made."""
    trees = {}
    for text in ("one", "two"):
        box_world.write(f"{text}/x", text)
        trees[text] = box_world.run("ware", "pack", text).out.strip()
    publish(box_world, LIB, "v2.0", trees["one"])
    taken = {"/lib": f"catalog:{LIB}:v2.0:item"}
    use = script("mkdir /out", "cat /lib/x > /out/x", inputs=taken, outputs={"o": "/out"})
    inner = subplot({"rootfs": "pipe::rootfs"}, {"use": use}, {"o": "pipe:use:o"})
    steps = {
        "alone": script("true"),
        "sub": inner,
        "last": script("cat /i/x", inputs={"/i": "pipe:sub:o"}),
    }
    box_world.write("app/plot.wf", plot(steps))
    box_world.run("--quiet", "run", "app/plot.wf")
    publish(box_world, LIB, "v10.0", trees["two"])
    publish(box_world, LIB, "v1.9", trees["two"], note="of an older line, published later")
    publish(box_world, LIB, "v11", trees["one"], hazard="eats disks")
    return box_world


def bumped(world: World, *arguments: str) -> Any:
    return world.run("--json", "catalog", "bump", *arguments).one("bump")


def test_what_is_newer_and_what_it_would_change(app: World) -> None:
    before = app.path("app/plot.wf").read_bytes()
    found = bumped(app, "app")
    (ref,) = found["refs"]
    assert (ref["ref"], ref["to"], ref["newer"]) == (f"{LIB}:v2.0:item", f"{LIB}:v1.9:item", ["v10.0", "v1.9"])
    assert ref["ware"] != ref["toWare"] and ref["passedOver"] == [{"release": "v11", "why": "hazard: eats disks"}]
    assert ref["places"] == ["/plot.v1/steps/sub/plot/steps/use/protoformula/inputs/~1lib"]
    assert found["steps"] == [{"step": "sub/use", "verdict": "run"}, {"step": "last", "verdict": "waits"}]
    assert (found["total"], found["written"]) == (3, False)
    told = app.run("catalog", "bump", LIB, cwd="app")
    assert f"  {LIB}:v2.0:item -> v1.9:item  (1 between)\n" in told.out
    assert "2 of 3 steps would run again: sub/use, last" in told.out and "--write" in told.err
    assert app.fail("catalog", "bump", "--check", "--write", "app").code == "invalid-argument"
    failed = app.fail("catalog", "bump", "--check", "app")
    assert (failed.exit, failed.error["details"]["reason"]) == (2, "outdated")
    assert app.path("app/plot.wf").read_bytes() == before


def test_the_plot_is_written_in_its_form(app: World) -> None:
    app.write("app/plot.wf", app.path("app/plot.wf").read_text().replace("\t", " "))
    assert bumped(app, f"{LIB}:v10.0", "app")["refs"][0]["to"] == f"{LIB}:v10.0:item"
    wanted = app.path("app/plot.wf").read_text().replace(f"{LIB}:v2.0", f"{LIB}:v11")
    # what is hazardous is had by its name alone; its ware is the same, so nothing would run again
    found = bumped(app, "--write", f"{LIB}:v11", "app/...", "app")
    assert found["written"] is True and found["steps"] == [] and found["refs"][0]["ware"] == found["refs"][0]["toWare"]
    formed = app.path("app/plot.wf").read_text()
    app.write("wanted.wf", wanted)
    app.run("fmt", "wanted.wf")
    assert formed == app.path("wanted.wf").read_text()
    again = app.run("catalog", "bump", "--check", "app")
    assert "it is marked as hazardous: eats disks" in again.out and "nothing newer" in again.err
    app.run("catalog", "bump", "--write", f"{LIB}:v1.9", "app")
    told = app.run("catalog", "bump", "app")  # nothing is newer but a hazard, which is told
    assert "    passed over v11: hazard: eats disks\n" in told.out and told.err == "nothing newer\n"
    for wrong, code in ((TOOL, "missing"), (f"{LIB}:v99", "catalog-missing-entry")):
        assert app.fail("catalog", "bump", wrong, "app").code == code
