"""Capsules: a machine with no network, no store and no catalog builds what is in one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.plots import plot, script
from support.world import WARPFORGE, World

LIB, APP = "a.org/lib", "a.org/app"


@pytest.fixture
def module(box_world: World) -> World:
    """A module that takes a release, an ingested directory and a candidate."""
    step = script("mkdir /out", "echo one > /out/lib", outputs={"o": "/out"})
    for name, label in (("a.org/lib", "v1"), ("a.org/more", "")):
        where = name.rpartition("/")[2]
        box_world.write(f"{where}/module.wf", {"module.v1": {"name": name}})
        box_world.write(f"{where}/plot.wf", plot({"make": step}, {"lib": "pipe:make:o"}))
        if label:
            box_world.run("catalog", "-n", "test", "release", label, where)
    box_world.run("run", "more")
    box_world.write("app/src/file", "source\n")
    use = script(
        "mkdir /out",
        "cat /lib/lib /more/lib /src/file > /out/app",
        inputs={"/lib": "pipe::lib", "/more": "pipe::more", "/src": "pipe::src"},
        outputs={"o": "/out"},
    )
    inputs = {"lib": f"catalog:{LIB}:v1:lib", "more": "candidate:a.org/more:v1:lib", "src": "ingest:dir:src"}
    box_world.write("app/module.wf", {"module.v1": {"name": APP}})
    box_world.write("app/plot.wf", plot({"make": use}, {"app": "pipe:make:o"}, inputs))
    return box_world


@pytest.fixture
def elsewhere(tmp_path: Path) -> World:
    """Another machine: nothing but an empty home."""
    return World(tmp_path / "elsewhere")


def result(world: World, *words: str, cwd: str = ".") -> str:
    found: str = world.run("--json", "run", *words, cwd=cwd).all("plotresults")[-1]["app"]
    return found


@pytest.mark.both
def test_what_is_in_a_capsule_builds_elsewhere(module: World, elsewhere: World) -> None:
    made = module.run("--json", "capsule", "create", "../app.capsule", "app").one("capsule")
    assert made["memos"] == 1 and made["releases"] == 2
    shutil.move(module.path("../app.capsule"), elsewhere.path("app.capsule"))
    expected = result(module, "app")
    shutil.rmtree(module.path(".warpforge"))
    elsewhere.run("capsule", "open", "--expect", made["ware"], "app.capsule")
    assert result(elsewhere, "--offline", cwd="app") == expected
    assert result(elsewhere, "--offline", "--force", cwd="app") == expected
    assert elsewhere.run("ware", "cat", expected, "app", cwd="app").out == "one\none\nsource\n"


def test_replays_come_along(module: World, elsewhere: World) -> None:
    module.run("capsule", "create", "-r", "--no-memos", str(elsewhere.path("app.capsule")), "app")
    elsewhere.run("capsule", "open", "app.capsule", "here")
    said = elsewhere.run("--json", "replay", "--offline", "--all", cwd="here").all("verdict")
    assert [(one["ref"], one["verdict"]) for one in said] == [(f"{LIB}:v1:lib", "same")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace that boxes still work in")
def test_without_interfaces(module: World, elsewhere: World) -> None:
    """In a network namespace of its own, with nothing in it: the module runs, and its releases replay."""
    module.run("capsule", "create", "-r", "--no-memos", str(elsewhere.path("app.capsule")), "app")
    expected = result(module, "app")
    elsewhere.run("capsule", "open", "app.capsule")
    assert not elsewhere.path("app/.warpforge/memos").exists()

    def without_network(*words: str) -> str:
        command = ["unshare", "--net", str(WARPFORGE), *words]
        done = subprocess.run(
            command, cwd=elsewhere.path("app"), env=elsewhere.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert without_network("run") == f"app\t{expected}\n"
    assert without_network("replay", "--all").split()[:2] == ["same", f"{LIB}:v1:lib"]


def test_the_same_module_gives_the_same_capsule(module: World) -> None:
    one = module.run("capsule", "create", "one.capsule", "app").out
    two = module.run("capsule", "create", "two.capsule", "app").out
    assert one == two
    assert module.path("one.capsule").read_bytes() == module.path("two.capsule").read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("printf garbage > $(find .warpforge/warehouse -type f | head -n 1)", "damaged"),
        ("set -- $(find .warpforge/warehouse/ztar -type f); cp -f $1 $2", "damaged"),
        ("sed -i s/lib/bil/ $(find .warpforge/catalogs -name 'v1.json' | head -n 1)", "damaged"),
        ("printf '{}' > $(ls -d .warpforge/memos/*)", "damaged"),
        ("mkdir .warpforge/config; echo '{}' > .warpforge/config/mirrors.json", "no capsule"),
        ("rm .warpforge/root", "no capsule"),
        ("rm plot.wf", "no capsule"),
    ],
)
def test_nothing_of_a_capsule_is_believed(module: World, elsewhere: World, change: str, says: str) -> None:
    made = module.run("capsule", "create", "app.capsule", "app").out.strip()
    elsewhere.run("capsule", "open", "--expect", made, module.path("app.capsule"), "forged")
    subprocess.run(["sh", "-c", change], cwd=elsewhere.path("forged"), check=True)
    elsewhere.root_workspace("packing")
    elsewhere.run("ware", "pack", "--to", f"file://{elsewhere.path('forged.capsule')}", "../forged", cwd="packing")
    failed = elsewhere.fail("capsule", "open", "forged.capsule", "opened")
    assert says in failed.error["message"]
    assert not elsewhere.path("opened").exists() and not [*elsewhere.root.glob(".opened*")]
    assert elsewhere.fail("capsule", "open", "--expect", made, "forged.capsule", "opened").code == "ware-mismatch"


def test_wrong_words(module: World) -> None:
    module.run("capsule", "create", "app.capsule", "app")
    assert module.fail("capsule", "create", "app.capsule", "app").code == "already-exists"
    assert module.fail("capsule", "open", "app.capsule", "app").code == "already-exists"
    assert module.fail("capsule", "open", "nowhere.capsule").exit == 3
    other = module.fail("capsule", "open", "app/plot.wf", "x")
    assert other.code.startswith("ware-") and "app/plot.wf" in other.error["message"]
    module.write("host/plot.wf", plot({"a": script("true", inputs={"/x": "mount:ro:."})}))
    failed = module.fail("capsule", "create", "host.capsule", "host")
    assert failed.error["details"]["reason"] == "replay"
    assert not [*module.root.glob("*.part")] and not module.path("host.capsule").exists()
