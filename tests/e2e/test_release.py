"""``warpforge catalog release`` and candidates: what a module gives gets a name, and the plot that gives it is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.plots import plot, script
from support.world import World

pytestmark = pytest.mark.both

LIB = "a.org/lib"
APP = "a.org/app"


def module(world: World, where: str, name: str, document: dict[str, Any]) -> None:
    world.write(f"{where}/module.wf", {"module.v1": {"name": name}})
    world.write(f"{where}/plot.wf", document)


def library(text: str = "one") -> dict[str, Any]:
    step = script("mkdir /out", f"echo {text} > /out/lib", outputs={"o": "/out"})
    return plot({"make": step}, {"lib": "pipe:make:o"})


def program() -> dict[str, Any]:
    step = script("mkdir /out", "cat /lib/lib > /out/app", inputs={"/lib": "pipe::lib"}, outputs={"o": "/out"})
    return plot({"make": step}, {"app": "pipe:make:o"}, {"lib": f"candidate:{LIB}:v7:lib"})


def documents(world: World, name: str, release: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A module of the catalog ``test``, its release, and the plot of its replay."""
    top = f".warpforge/catalogs/test/{name}"
    found = world.read_json(f"{top}/_module.json")["catalogmodule.v1"]
    said = world.read_json(f"{top}/_releases/{release}.json")
    return found, said, world.read_json(f"{top}/_replays/{said['metadata']['replay']}.json")["plot.v1"]


def test_a_release_holds_the_results_and_the_plot(box_world: World) -> None:
    module(box_world, "lib", LIB, library())
    said = box_world.run("catalog", "-n", "test", "release", "v1", cwd="lib").out
    found, release, replay = documents(box_world, LIB, "v1")
    assert said == f"{LIB}:v1:lib -> {release['items']['lib']}\n"
    assert found["name"] == LIB and [*found["releases"]] == ["v1"]
    assert replay == library()["plot.v1"]
    assert box_world.run("id", "lib/plot.wf").out.strip() == release["metadata"]["replay"]
    # who names it gets it, from the memo
    box_world.write(
        "user.wf",
        plot({"use": script("cat /x/lib", inputs={"/x": f"catalog:{LIB}:v1:lib"})}),
    )
    assert "one" in box_world.run("run", "user.wf").err


def test_the_same_again_changes_nothing_and_something_else_is_refused(box_world: World) -> None:
    module(box_world, "lib", LIB, library())
    box_world.run("catalog", "-n", "test", "release", "v1", "lib")
    before = documents(box_world, LIB, "v1")
    again = box_world.run("--json", "catalog", "release", "-n", "test", "v1", "lib").one("released")
    assert again["changed"] is False
    module(box_world, "lib", LIB, library("two"))
    failed = box_world.fail("catalog", "-n", "test", "release", "v1", "lib")
    assert failed.code == "already-exists" and "of lib" in failed.error["message"]
    assert documents(box_world, LIB, "v1") == before
    box_world.run("catalog", "-n", "test", "-f", "release", "-m", "note=second", "v1", "lib")
    _, release, _ = documents(box_world, LIB, "v1")
    assert release["items"] != before[1]["items"] and release["metadata"]["note"] == "second"


def test_a_candidate_is_what_the_other_module_gave(box_world: World) -> None:
    module(box_world, "1-app", APP, program())
    missing = box_world.fail("run", "1-app")
    assert missing.code == "catalog-missing-entry" and missing.exit == 3
    module(box_world, "2-lib", LIB, library())
    # modules are run in the order in which they need each other, not in that of their names
    box_world.run("run", "./...")
    box_world.run("run", "1-app")
    module(box_world, "2-lib", LIB, library("two"))
    assert "cat /lib" not in box_world.run("run", "1-app").err  # the last run of the library still counts
    box_world.run("run", "2-lib")
    made = box_world.run("--json", "run", "1-app").all("plotresults")[-1]["app"]
    assert box_world.run("ware", "cat", made, "app").out == "two\n"


def test_a_release_turns_candidates_into_releases(box_world: World) -> None:
    module(box_world, "app", APP, program())
    module(box_world, "lib", LIB, library())
    said = box_world.run("--json", "catalog", "-n", "test", "release", "v2", "app").all("released")
    assert [(made["module"], made["releaseName"]) for made in said] == [(LIB, "v7"), (APP, "v2")]
    _, _, replay = documents(box_world, APP, "v2")
    assert replay["inputs"]["lib"] == f"catalog:{LIB}:v7:lib"
    # the library moves on, and the label stands for what it was: a new label is wanted
    module(box_world, "lib", LIB, library("two"))
    box_world.run("run", "lib")
    failed = box_world.fail("catalog", "-n", "test", "release", "v3", "app")
    assert failed.code == "already-exists" and failed.error["details"]["catalogRef"] == f"{LIB}:v7:lib"


def test_modules_in_a_ring_are_refused(box_world: World) -> None:
    module(box_world, "app", APP, program())
    module(box_world, "lib", LIB, {"plot.v1": {**library()["plot.v1"], "inputs": {
        "rootfs": "catalog:warpsys.org/busybox:v1.35.0:amd64-static", "app": f"candidate:{APP}:v1:app"}}})  # fmt: skip
    assert box_world.fail("run", "./...").code == "plot-invalid"
    assert "ring" in box_world.fail("catalog", "-n", "test", "release", "v1", "app").error["message"]


def test_every_input_of_one_machine_is_named(box_world: World) -> None:
    document = library()
    document["plot.v1"]["inputs"] |= {"src": "ingest:dir:src", "host": "mount:ro:src", "odd": "secret:TOKEN"}
    module(box_world, "lib", LIB, document)
    box_world.write("lib/src/file", "x")
    failed = box_world.call("catalog", "-n", "test", "release", "v1", "lib")
    assert failed.exit == 2
    for pointer in ("/plot.v1/inputs/src", "/plot.v1/inputs/host", "/plot.v1/inputs/odd"):
        assert pointer in failed.err
    assert not box_world.path(f".warpforge/catalogs/test/{LIB}").exists()


def test_a_frozen_ingest_is_the_ware_that_it_was(box_world: World) -> None:
    document = library()
    document["plot.v1"]["inputs"]["src"] = "ingest:dir:src"
    document["plot.v1"]["steps"]["make"]["protoformula"]["inputs"]["/src"] = "pipe::src"
    module(box_world, "lib", LIB, document)
    box_world.write("lib/src/file", "x")
    box_world.run("catalog", "-n", "test", "release", "--freeze", "v1", "lib")
    _, _, replay = documents(box_world, LIB, "v1")
    assert replay["inputs"]["src"].startswith("ware:ztar:")


def test_what_the_shipped_schema_does_not_read_is_asked_for(box_world: World) -> None:
    document = library()
    document["plot.v1"]["outputs"]["lib"] = {"basis": "pipe:make:o", "filters": {"mtime": "@1"}}
    module(box_world, "lib", LIB, document)
    failed = box_world.fail("catalog", "-n", "test", "release", "v1", "lib")
    assert failed.error["details"]["path"] == "/plot.v1/outputs/lib" and "--extended" in failed.error["message"]
    box_world.run("catalog", "-n", "test", "release", "--extended", "v1", "lib")
    assert json.dumps(documents(box_world, LIB, "v1")[2])


def test_a_text_is_no_item(box_world: World) -> None:
    step = script("X=hello", outputs={"x": {"from": "$X"}})
    module(box_world, "lib", LIB, plot({"make": step}, {"x": "pipe:make:x"}))
    failed = box_world.fail("catalog", "-n", "test", "release", "v1", "lib")
    assert failed.error["details"]["reason"] == "literal"


def test_the_tree_of_a_tar_can_be_said_too(box_world: World) -> None:
    out = {"o": {"from": "/out", "packtype": "tar"}}
    step = script("mkdir /out", "ln -s here /out/link", outputs=out)
    module(box_world, "lib", LIB, plot({"make": step}, {"lib": "pipe:make:o"}))
    box_world.run("catalog", "-n", "test", "release", "--duals", "v1", "lib")
    _, release, _ = documents(box_world, LIB, "v1")
    packtype, _, hash_ = release["items"]["lib"].partition(":")
    dual = box_world.path(f".warpforge/duals/{packtype}/{hash_[:3]}/{hash_[3:6]}/{hash_}").read_text().strip()
    assert release["metadata"]["ztar.lib"] == dual and dual.startswith("ztar:")
    # and it is held against what comes: another tree is refused
    box_world.run("catalog", "-n", "test", "-f", "release", "-m", "ztar.lib=" + dual[:-1] + "x", "v1", "lib")
    box_world.write("user.wf", plot({"use": script("true", inputs={"/x": f"catalog:{LIB}:v1:lib"})}))
    assert box_world.fail("run", "user.wf").code == "ware-mismatch"
