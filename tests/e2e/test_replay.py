"""``warpforge replay`` and ``run -r``: what a catalog says is built again, and wares come back that nobody has."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from support.plots import plot, script
from support.world import World

from warpforge.catalog.edit import edit
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import WareId
from warpforge.model.catalog import Release
from warpforge.model.serial import dump, load_plot, load_verdicts

pytestmark = pytest.mark.both

LIB = "a.org/lib"
APP = "a.org/app"


def module(world: World, where: str, name: str, document: dict[str, Any]) -> None:
    world.write(f"{where}/module.wf", {"module.v1": {"name": name}})
    world.write(f"{where}/plot.wf", document)


def library(*lines: str) -> dict[str, Any]:
    step = script("mkdir /out", *(lines or ("echo one > /out/lib",)), outputs={"o": "/out"})
    return plot({"make": step}, {"lib": "pipe:make:o"})


@pytest.fixture
def released(box_world: World) -> World:
    """A library and a program that takes it, both released as v1."""
    module(box_world, "lib", LIB, library())
    box_world.run("catalog", "-n", "test", "release", "v1", "lib")
    step = script("mkdir /out", "cp /lib/lib /out/app", inputs={"/lib": "pipe::lib"}, outputs={"o": "/out"})
    module(box_world, "app", APP, plot({"make": step}, {"app": "pipe:make:o"}, {"lib": f"catalog:{LIB}:v1:lib"}))
    box_world.run("catalog", "-n", "test", "release", "v1", "app")
    return box_world


def forget(world: World, *wares: str) -> None:
    """As on another machine: no memo, nothing unpacked, and these wares nowhere."""
    internal = world.path(".warpforge")
    shutil.rmtree(internal / "memos")
    shutil.rmtree(internal / "cache")
    for ware in wares:
        packtype, _, hash_ = ware.partition(":")
        (internal / "warehouse" / packtype / hash_[:3] / hash_[3:6] / hash_).unlink()


def ware(world: World, name: str, item: str) -> str:
    found: str = world.run("--json", "catalog", "show", f"{name}:v1:{item}").one("release")["items"][item]
    return found


def test_a_replay_gives_what_was_published(released: World) -> None:
    said = released.run("--json", "replay", f"{APP}:v1:app").one("verdict")
    assert said["verdict"] == "same" and said["made"] == said["published"] == ware(released, APP, "app")
    every = released.run("--json", "replay", "--all").all("verdict")
    assert [(one["ref"], one["verdict"]) for one in every] == [(f"{APP}:v1:app", "same"), (f"{LIB}:v1:lib", "same")]
    uses = released.run("--json", "explain", "--used-by", f"{LIB}:v1:lib").all("use")
    assert [(use["kind"], use["name"]) for use in uses] == [("step", "make"), ("replay", f"{APP}:v1")]


def test_a_name_that_is_not_there_is_told_before_anything_is_built(released: World) -> None:
    failed = released.fail("--json", "replay", APP, "a.org/nowhere")
    assert failed.code == "catalog-missing-entry" and not failed.all("verdict")


def test_what_is_nowhere_is_made_by_its_own_replay(released: World) -> None:
    forget(released, ware(released, LIB, "lib"), ware(released, APP, "app"))
    released.write("user.wf", plot({"use": script("cat /x/app", inputs={"/x": f"catalog:{APP}:v1:app"})}))
    nowhere = released.fail("run", "user.wf")
    assert nowhere.code == "missing" and "`run -r` also asks replays" in str(nowhere.error)
    done = released.run("run", "-r", "user.wf")
    assert "one" in done.err
    assert f"running the replay of {APP}:v1" in done.err and f"running the replay of {LIB}:v1" in done.err
    forget(released, ware(released, LIB, "lib"), ware(released, APP, "app"))
    every = released.run("--json", "replay", "--all")
    assert [one["verdict"] for one in every.all("verdict")] == ["same", "same"]
    assert len(every.all("started")) == 2  # what one replay takes is made by the other's box, which is not run again


def test_that_nothing_is_built_twice_hides_no_difference(box_world: World) -> None:
    module(box_world, "lib", LIB, library("cat /proc/sys/kernel/random/uuid > /out/lib"))
    box_world.run("catalog", "-n", "test", "release", "v1", "lib")
    step = script("mkdir /out", "echo > /out/app", inputs={"/lib": "pipe::lib"}, outputs={"o": "/out"})
    module(box_world, "app", APP, plot({"make": step}, {"app": "pipe:make:o"}, {"lib": f"catalog:{LIB}:v1:lib"}))
    box_world.run("catalog", "-n", "test", "release", "v1", "app")
    forget(box_world, ware(box_world, LIB, "lib"))
    failed = box_world.fail("--json", "replay", "--all")
    assert [(one["ref"], one["verdict"]) for one in failed.all("verdict")] == [
        (f"{APP}:v1:app", "failed"),  # although the program is the same with any library
        (f"{LIB}:v1:lib", "differs"),
    ]
    assert len(failed.all("started")) == 1


def test_one_that_fails_keeps_no_other_from_its_turn(released: World) -> None:
    none = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
    publish(released, {"lib": none}, library("exit 3"), "a.org/a")
    (released.path(".warpforge/catalogs/test/a.org/b") / "_releases").mkdir(parents=True)
    released.write(".warpforge/catalogs/test/a.org/b/_module.json", {"catalogmodule.v1": {"name": "a.org/c"}})
    failed = released.fail("replay", "--all")
    said = {one["ref"]: one["verdict"] for one in failed.all("verdict")}
    assert said == {"a.org/a:v1:lib": "failed", f"{APP}:v1:app": "same", f"{LIB}:v1:lib": "same"}
    assert "a.org/b is passed over" in failed.out


def test_a_difference_is_named_by_its_files(box_world: World) -> None:
    step = library("echo same > /out/stays", "cat /proc/sys/kernel/random/uuid > /out/changes")
    module(box_world, "lib", LIB, step)
    box_world.run("catalog", "-n", "test", "release", "v1", "lib")
    failed = box_world.fail("replay", LIB)
    assert failed.exit == 1 and failed.code == "ware-mismatch"
    verdict = failed.one("verdict")
    assert verdict["verdict"] == "differs" and verdict["made"] != verdict["published"]
    assert [line.split()[1] for line in verdict["why"]] == ["changes"]
    # what the replay gave is not remembered: the memo still says what was first
    assert box_world.run("--json", "run", "lib").all("plotresults")[-1]["lib"] == verdict["published"]


def publish(world: World, items: dict[str, WareId], document: dict[str, Any] | None, module: str = LIB) -> None:
    catalog = Catalog(world.path(".warpforge/catalogs/test"))
    with edit(catalog, module) as changed:
        import json

        text = json.dumps(document).encode() if document else b""
        metadata = {"replay": changed.put_replay(load_plot(text, "plot").noun)} if document else {}
        changed.put_release(Release("v1", items, metadata))


def test_verdicts_of_what_cannot_be_done_again(box_world: World) -> None:
    none = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
    publish(box_world, {"lib": none}, None)
    assert box_world.run("--json", "replay", LIB).one("verdict")["verdict"] == "no-replay"
    publish(box_world, {"other": none}, library())
    failed = box_world.fail("replay", LIB)
    assert failed.one("verdict")["verdict"] == "missing" and failed.exit == 1
    publish(box_world, {"lib": none}, library("exit 3"))
    failed = box_world.fail("replay", LIB)
    assert failed.one("verdict")["verdict"] == "failed" and failed.exit == 1
    assert failed.one("verdict")["code"] == "warpforge-error-formula-execution-failed"
    for ref in ("b.org/nothing", f"{LIB}:v2", f"{LIB}:v1:nothing"):
        assert box_world.fail("replay", ref).exit == 3
    for ref in ("a.org/lib:v1:lib:more", "Not a name"):
        assert box_world.fail("replay", ref).exit == 2
    assert box_world.fail("replay").exit == 2


def test_a_replay_that_needs_what_it_makes_is_passed_over(box_world: World) -> None:
    none = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
    document = library("cp -r /self/. /out")
    document["plot.v1"]["steps"]["make"]["protoformula"]["inputs"]["/self"] = f"ware:{none}"
    publish(box_world, {"lib": none}, document)
    box_world.write("user.wf", plot({"use": script("true", inputs={"/x": f"catalog:{LIB}:v1:lib"})}))
    failed = box_world.call("run", "-r", "user.wf")
    assert failed.exit == 3 and "it cannot make it" in failed.err


def test_verdicts_are_kept_here_and_published_when_told_to(released: World) -> None:
    released.run("replay", f"{LIB}:v1", "--memo")
    assert not released.path(".warpforge/verdicts").exists()
    released.run("replay", f"{LIB}:v1")
    here = released.path(f".warpforge/verdicts/{LIB}/_verdicts/v1/verdicts.json")
    kept = load_verdicts(here.read_bytes(), "v").noun
    assert kept.module == LIB and kept.items["lib"].verdict == "same"
    catalog = released.path(".warpforge/catalogs/test")
    published = catalog / LIB / "_verdicts" / "v1" / "verdicts.json"
    assert not published.exists()
    released.run("replay", f"{LIB}:v1", "--publish")
    noun = load_verdicts(published.read_bytes(), "v").noun
    assert dump(noun) == published.read_bytes() and noun.items["lib"].made == noun.items["lib"].published
    assert released.run("catalog", "check").exit == 0
    [replay] = released.run("--json", "explain", f"{LIB}:v1:lib").all("provenance")[0]["replays"]
    assert replay["verdict"] == "same" and replay["judged"] >= noun.items["lib"].time
    assert "same when it was built again" in released.run("explain", f"{LIB}:v1:lib").out
    released.run("catalog", "-n", "test", "generate-html", "-o", "pages")
    page = released.path(f"pages/{LIB}/_releases/v1.html").read_text()
    assert "reproduced</span>" in page and "reproduced, unsigned</span>" in page  # seen here, and as it is published
    assert f"/{APP}/_releases/v1.html" in page  # who takes it


def test_where_one_replay_fails_another_may_make_it(released: World) -> None:
    lib = WareId.parse(ware(released, LIB, "lib"))
    publish(released, {"lib": lib}, library("exit 3"), "a.org/a")
    forget(released, str(lib))
    released.write("user.wf", plot({"use": script("cat /x/lib", inputs={"/x": f"ware:{lib}"})}))
    done = released.run("run", "-r", "user.wf")
    assert "the replay of a.org/a:v1 failed" in done.err and "use | one" in done.err
