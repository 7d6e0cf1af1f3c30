"""What references meant is remembered where they were used, without keys and snapshots, and told of when it changes."""

from __future__ import annotations

import pytest
from support.plots import plot, script
from support.world import World

from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef

LIB, APP = CatalogRef("a.org/lib", "v1", "lib"), CatalogRef("a.org/app", "v1", "app")


def behind_our_back(world: World, directory: str) -> None:
    """The library becomes something else, as if somebody pulled it: nothing of ours said so."""
    known = world.path(".warpforge/known")
    known.rename(world.path("aside"))
    world.run("catalog", "-n", "test", "-f", "add", "dir", str(LIB), directory)
    world.path("aside").rename(known)


@pytest.fixture
def used(world: World) -> World:
    """A library that was used once."""
    world.root_workspace()
    for text in ("one", "two"):
        world.write(f"{text}/text", text)
    world.run("catalog", "init", "test")
    world.run("catalog", "-n", "test", "add", "dir", str(LIB), "one")
    assert world.run("ware", "cat", str(LIB), "text").out == "one"
    return world


def test_a_reference_that_changed_is_told_of_refused_or_taken(used: World) -> None:
    behind_our_back(used, "two")
    (line,) = (line for line in used.run("ware", "cat", str(LIB), "text").err.splitlines() if str(LIB) in line)
    assert "was ztar:" in line and "--forget" in line
    listed = used.run("--json", "catalog", "known").one("known")
    assert listed["ref"] == str(LIB) and listed["ware"] != listed["now"]
    config = used.write(".warpforge/config/known.json", {"known.v1": {"changed": "refuse"}})
    refused = used.fail("ware", "cat", str(LIB), "text")
    assert (refused.code, refused.exit, refused.error["details"]["reason"]) == ("catalog-invalid", 2, "changed")
    used.write(".warpforge/config/known.json", {"known.v1": {"changed": "off"}})
    assert not used.run("ware", "cat", str(LIB), "text").err
    config.unlink()
    used.run("catalog", "known", "--forget", f"{LIB.module}:{LIB.release}")
    assert not used.run("ware", "cat", str(LIB), "text").err
    assert used.run("catalog", "known").out == f"{LIB}  {listed['now']}\n"
    used.run("catalog", "-n", "test", "-f", "add", "dir", str(LIB), "one")  # who says so here needs no telling
    assert not used.run("ware", "cat", str(LIB), "text").err
    assert used.fail("catalog", "known", "--forget", "a.org/other").code == "missing"


def test_a_memory_that_is_not_right_is_none(used: World) -> None:
    file = used.path(f".warpforge/known/{LIB.module}/_known.json")
    good = file.read_bytes()
    for damage in (b"", good[: len(good) // 2], b"\0" * len(good), b'{"known.v1": {"v1:lib": 1}}'):
        file.write_bytes(damage)
        assert used.run("ware", "cat", str(LIB), "text").err == ""
        assert file.read_bytes() == good


def test_a_replay_takes_what_its_references_were(box_world: World) -> None:
    """In a catalog without snapshots, where it was released, and where it was built again before."""
    world = box_world
    for text in ("one", "two"):
        world.write(f"{text}/text", text)
    world.run("catalog", "-n", "test", "add", "dir", str(LIB), "one")
    step = script("cp /lib/text /", inputs={"/lib": "pipe::lib"}, outputs={"app": "/text"})
    world.write("app/module.wf", {"module.v1": {"name": APP.module}})
    world.write("app/plot.wf", plot({"make": step}, {"app": "pipe:make:app"}, {"lib": f"catalog:{LIB}"}))
    world.run("catalog", "-n", "test", "release", "v1", "app")
    behind_our_back(world, "two")
    for _ in range(2):
        done = world.run("--json", "replay", str(APP))
        assert done.one("verdict")["verdict"] == "same"
        (told,) = (log["Msg"] for log in done.all("log") if "conflict" in log["Msg"])
        release = Catalog(world.path(".warpforge/catalogs/test")).release(LIB.module, "v1")
        assert release is not None and str(release.items["lib"]) in told
    assert len(world.run("--json", "catalog", "known", LIB.module).all("known")) == 1
