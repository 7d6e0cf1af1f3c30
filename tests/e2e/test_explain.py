"""``warpforge explain``: from a program back to the files and archives that nobody made, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from support.plots import BUSYBOX, plot, script
from support.world import World

LIB, APP = "a.org/lib", "a.org/app"


@pytest.fixture
def built(box_world: World) -> World:
    """A released library made of an ingested directory, and a program made with it in two steps."""
    box_world.write("lib/src/file", "source\n")
    make = script("cp -r /src /out", "echo lib > /out/lib", inputs={"/src": "pipe::src"}, outputs={"o": "/out"})
    box_world.write("lib/module.wf", {"module.v1": {"name": LIB}})
    box_world.write("lib/plot.wf", plot({"make": make}, {"lib": "pipe:make:o"}, {"src": "ingest:dir:src"}))
    box_world.run("catalog", "-n", "test", "release", "--freeze", "v1", "lib")
    one = script(
        "cp -r /lib /out", "echo 1 > /out/one", inputs={"/lib": f"catalog:{LIB}:v1:lib"}, outputs={"o": "/out"}
    )
    two = script("cp -r /one /out", "echo 2 > /out/two", inputs={"/one": "pipe:one:o"}, outputs={"o": "/out"})
    box_world.write("app/module.wf", {"module.v1": {"name": APP}})
    box_world.write("app/plot.wf", plot({"one": one, "two": two}, {"app": "pipe:two:o"}))
    box_world.run("run", "app")
    return box_world


def result(world: World) -> str:
    found: str = world.run("--json", "run", "app").all("plotresults")[-1]["app"]
    return found


def known(world: World, what: str) -> dict[str, dict[str, Any]]:
    return {one["ware"]: one for one in world.run("--json", "explain", what).all("provenance")}


def test_every_input_is_followed_to_its_beginning(built: World) -> None:
    app = result(built)
    found = known(built, app)
    assert next(iter(found)) == app
    (made,) = found[app]["executions"]
    assert made["module"] == APP and made["step"] == "two"
    origins = {one["port"]: one["origin"] for one in made["inputs"]}
    assert origins == {"/": BUSYBOX, "/one": "pipe:one:o"}
    (library,) = (one for one in found.values() if f"{LIB}:v1:lib" in one["names"])
    assert library["replays"][0]["ref"] == f"{LIB}:v1:lib" and library["executions"][0]["step"] == "make"
    (source,) = (one for one in found.values() if one["ingests"])
    assert source["ingests"][0].startswith("ingest:dir:src (") and not source["executions"]
    assert built.run("ware", "cat", source["ware"], "file").out == "source\n"
    # every ware that any execution takes is explained, too
    taken = {one["ware"] for ware in found.values() for run in ware["executions"] for one in run["inputs"]}
    assert taken <= found.keys()


def test_the_tree_is_for_people(built: World) -> None:
    app = result(built)
    lines = built.run("explain", app).out.splitlines()
    assert lines[0] == app and "made by two of a.org/app" in lines[1]
    assert any("├─ " in line or "└─ " in line for line in lines)
    assert sum("(see above)" in line for line in lines) >= 1  # the root file system is taken by every step
    for beginning in (app.partition(":")[2][:12], app[:12]):
        assert built.run("explain", beginning).out.splitlines() == lines
    by_name = built.run("explain", f"{LIB}:v1:lib").out
    assert built.run("explain", f"catalog:{LIB}:v1:lib").out == by_name
    assert built.run("explain", f"ware:{app}").out.splitlines() == lines
    assert "from ingest:dir:src" in by_name and by_name.startswith("ztar:")


def test_drawings(built: World) -> None:
    app = result(built)
    mermaid = built.run("explain", "--graph", "mermaid", app).out
    assert mermaid.startswith("flowchart") and "made by two" in mermaid and LIB in mermaid
    built.run("explain", "--graph", "svg", "-o", "out.svg", app)
    assert built.path("out.svg").read_text().startswith("<svg")


def test_who_uses_it(built: World) -> None:
    uses = built.run("--json", "explain", "--used-by", f"{LIB}:v1:lib").all("use")
    assert [(use["kind"], use["name"], use["at"]) for use in uses] == [("step", "one", APP)]
    (source,) = (one["ware"] for one in known(built, f"{LIB}:v1:lib").values() if one["ingests"])
    kinds = {(use["kind"], use["name"]) for use in built.run("--json", "explain", "--used-by", source).all("use")}
    assert kinds == {("step", "make"), ("replay", f"{LIB}:v1")}
    assert "nothing" in built.run("explain", "--used-by", result(built)).err


def test_the_name_comes_first_that_it_was_taken_by(built: World) -> None:
    (library,) = (ware for ware, one in known(built, result(built)).items() if f"{LIB}:v1:lib" in one["names"])
    built.run("ware", "unpack", "--path", "again", library)
    for item in ("a", "z"):  # another release names the same ware, and sorts before all others
        built.run("catalog", "-n", "test", "add", "dir", f"a.a/again:v1:{item}", "again")
    assert known(built, result(built))[library]["names"][0] == f"{LIB}:v1:lib"
    assert known(built, "a.a/again:v1:z")[library]["names"][0] == "a.a/again:v1:z"
    whole = built.run("explain", "a.a/again:v1").out.replace("again:v1:z", "again:v1:a")  # the ware has both names
    assert whole.startswith(f"{library}  a.a/again:v1:a\n")
    assert built.run("explain", f"{LIB}:v1").out.startswith(f"{library}  {LIB}:v1:lib\n")


def test_words_that_do_not_go_together(built: World) -> None:
    ref = f"{LIB}:v1:lib"
    for words in (["-o", "x.svg"], ["--used-by", "--graph", "svg"], ["--jsno"]):
        assert built.fail("explain", *words, ref).code == "invalid-argument"
    assert str(built.fail("explain", "--jsno", ref).error["message"]).endswith("? see warpforge explain --help")
    assert built.fail("explain", f"{LIB}:v9").code == "catalog-missing-entry"


def test_what_is_broken_hides_nothing_else(built: World) -> None:
    built.run("ware", "unpack", "--path", "again", result(built))
    built.run("catalog", "-n", "test", "add", "dir", "b.org/broken:v1:item", "again")
    before = built.run("explain", f"{LIB}:v1").out
    built.path(".warpforge/catalogs/test/b.org/broken/_releases/v1.json").write_text("{")
    after = built.run("explain", f"{LIB}:v1")
    assert after.out == before and "b.org/broken is passed over" in after.err
    assert built.fail("explain", "b.org/broken:v1:item").code == "serialization"


def test_what_nobody_knows(built: World) -> None:
    assert built.fail("explain", "abcdefgh").exit == 3
    for nothing in ("b.org/x:v1:y", "b.org/x"):
        assert built.fail("explain", nothing).code == "catalog-missing-entry"
    assert f"{LIB}:v1" in built.fail("explain", LIB).error["message"]
    nobody = "ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK"
    assert "nobody here knows anything of it" in built.run("explain", nobody).out
