"""``catalog update`` and ``init --remote`` at the command line, and several that write the same catalog at once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.plots import plot, script
from support.repositories import Repo
from support.world import WARPFORGE, World

from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef, WareId

WARE = WareId.parse("ztar:" + "1" * 44)
OTHER = WareId.parse("ztar:" + "2" * 44)


def publish(repo: Repo, ref: str, ware: WareId = WARE, *, force: bool = False) -> None:
    add_item(Catalog(repo.path), CatalogRef.parse(ref), ware, force=force)
    repo.commit(message=ref)


@pytest.fixture
def far(world: World, tmp_path: Path) -> Repo:
    """A repository that is a catalog; the workspace wants no other one."""
    world.root_workspace()
    world.write(".warpforge/config/catalogs.json", {"catalogs.v1": {}})
    repo = Repo(tmp_path / "far")
    publish(repo, "a.org/x:v1:item")
    return repo


def together(world: World, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Run commands at the same time; status, stdout and stderr of each."""
    running = [
        subprocess.Popen(
            [str(WARPFORGE), *words], cwd=world.root, env=world.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for words in commands
    ]  # fmt: skip
    return [(process.wait(), *output) for process in running for output in [process.communicate()]]


@pytest.mark.both
def test_a_person_follows_a_catalog(world: World, far: Repo) -> None:
    world.run("catalog", "init", "mine")
    made = world.run("catalog", "init", "--remote", "../far", "lib")
    assert made.out == "lib: installed\n" and "1 release" in made.err
    publish(far, "a.org/x:v2:item", OTHER)
    publish(far, "a.org/x:v2:more")
    said = world.run("catalog", "update")
    assert said.out == "lib: updated\nmine: local catalog\n" and "added      a.org/x:v2\n" in said.err
    assert world.run("catalog", "update", "lib").out == "lib: already up to date\n"
    assert world.run("catalog", "update", "--quiet").out == ""
    assert world.run("catalog", "ls").out == "lib\nmine\n"
    shown = world.run("catalog", "show", "a.org/x").out
    assert shown == (
        "a.org/x\n"
        " ├─ a.org/x:v1\n"
        " │   └─ a.org/x:v1:item\n"
        " └─ a.org/x:v2\n"
        "     ├─ a.org/x:v2:item\n"
        "     └─ a.org/x:v2:more\n"
    )
    assert f" │   └─ a.org/x:v1:item ({WARE})\n" in world.run("catalog", "-n", "lib", "show", "-v", "a.org/x").out


def test_what_was_broken_here_is_brought_back_by_force(world: World, far: Repo) -> None:
    world.run("catalog", "init", "--remote", "../far", "lib")
    lib = world.path(".warpforge/catalogs/lib")
    release = lib / "a.org/x/_releases/v1.json"
    good = release.read_bytes()
    release.write_bytes(good.replace(b"1111", b"2222"))
    (lib / "a.org/x/_mine").write_text("mine")
    assert "update --force" in world.fail("catalog", "show", "a.org/x:v1").error["message"]
    assert world.run("catalog", "update").out == "lib: already up to date\n"
    assert world.run("catalog", "update", "-f").out == "lib: updated\n" and release.read_bytes() == good
    release.unlink()
    assert world.run("catalog", "update", "-f").out == "lib: updated\n" and release.read_bytes() == good
    assert world.run("catalog", "update", "-f").out == "lib: already up to date\n"
    assert (lib / "a.org/x/_mine").read_text() == "mine"


def test_a_repository_that_is_not_there(world: World, far: Repo) -> None:
    nowhere = world.fail("catalog", "init", "--remote", "../nowhere", "lib")
    assert nowhere.code == "missing" and "../nowhere" in nowhere.error["message"]


def test_one_that_fails_keeps_no_other_from_its_update(world: World, far: Repo) -> None:
    config = {"a": str(far.path), "b": f"{far.path}#nowhere", "c": f"{far.path}#main"}
    world.write(".warpforge/config/catalogs.json", {"catalogs.v1": config})
    failed = world.fail("catalog", "update")
    assert (failed.code, failed.exit) == ("git", 4)
    assert failed.error["details"]["catalog"] == "b" and "nowhere" in failed.causes[-1]["message"]
    assert [one["state"] for one in failed.all("catalogupdate")] == ["installed", "installed"]
    publish(far, "a.org/x:v1:item", OTHER, force=True)
    taken = world.fail("catalog", "update", "-n", "a")
    assert (taken.code, taken.exit, taken.causes[-1]["details"]["reason"]) == ("catalog-invalid", 2, "rollback")
    (done,) = world.run("--json", "catalog", "-f", "update", "a").all("catalogupdate")
    assert [step["kind"] for step in done["releases"]] == ["rewritten"]
    assert world.fail("catalog", "update", "nope").code == "missing"


def test_updates_and_publishers_at_once_lose_nothing(world: World, far: Repo) -> None:
    world.run("catalog", "init", "-r", far.path, "lib")
    world.write("tree/file", "x")
    for number in range(3):
        publish(far, f"a.org/x:w{number}:item", OTHER)
    add = ["catalog", "-n", "lib", "add", "dir"]
    ended = together(
        world,
        ["catalog", "update"],
        ["catalog", "update"],
        [*add, "a.org/mine:v1:item", "tree"],
        [*add, "a.org/mine:v2:item", "tree"],
    )
    assert [status for status, _, _ in ended] == [0, 0, 0, 0], ended
    assert sorted(out for _, out, _ in ended[:2]) == ["lib: already up to date\n", "lib: updated\n"]
    lib = Catalog(world.path(".warpforge/catalogs/lib"))
    found = {name: [*(known.releases if (known := lib.module(name)) else ())] for name in lib.modules()}
    assert found == {"a.org/mine": found["a.org/mine"], "a.org/x": ["v1", "w0", "w1", "w2"]}
    assert sorted(found["a.org/mine"]) == ["v1", "v2"]
    assert os.listdir(world.path(".warpforge/tmp")) == []
    # what was published here into a module of theirs is seen, and kept
    world.run(*add, "a.org/x:ours:item", "tree")
    publish(far, "a.org/x:v9:item")
    assert world.fail("catalog", "update").code == "already-exists"
    assert "ours" in (lib.module("a.org/x") or pytest.fail("no module")).releases


def test_releases_at_once(box_world: World) -> None:
    """Two modules, and the same module twice: equal releases agree, others are refused with a clear word."""
    for name in ("one", "two"):
        step = script("mkdir /out", f"echo {name} > /out/x", outputs={"o": "/out"})
        for where, module in ((name, f"a.org/{name}"), (f"same-{name}", "a.org/same")):
            box_world.write(f"{where}/module.wf", {"module.v1": {"name": module}})
            box_world.write(f"{where}/plot.wf", plot({"s": step}, {"out": "pipe:s:o"}))
    release = ["--json", "catalog", "-n", "test", "release", "v1"]
    ended = together(box_world, *([*release, where] for where in ("one", "two", "same-one", "same-two", "one")))
    assert [status for status, _, _ in ended[:2]] == [0, 0] and ended[4][0] == 0, ended
    same = sorted(ended[2:4])
    assert [status for status, _, _ in same] == [0, 1], same
    assert "already-exists" in same[1][2] and "choose another name" in same[1][2]
    catalog = Catalog(box_world.path(".warpforge/catalogs/test"))
    for module in ("a.org/one", "a.org/two", "a.org/same"):
        made = catalog.release(module, "v1")
        assert made is not None and made.replay and catalog.replay(module, made.replay)
    assert "0 errors" in box_world.run("catalog", "-n", "test", "check").out


def test_releases_beside_updates_lose_nothing(box_world: World, tmp_path: Path) -> None:
    """What is released into a clone while it is updated is there, and so is what comes."""
    repo = Repo(tmp_path / "far")
    publish(repo, "b.org/x:v1:item")
    box_world.write(".warpforge/config/catalogs.json", {"catalogs.v1": {}})
    box_world.run("catalog", "init", "-r", repo.path, "lib")
    for name in ("one", "two"):
        step = script("mkdir /out", f"echo {name} > /out/x", outputs={"o": "/out"})
        box_world.write(f"{name}/module.wf", {"module.v1": {"name": f"a.org/{name}"}})
        box_world.write(f"{name}/plot.wf", plot({"s": step}, {"out": "pipe:s:o"}))
    releases = []
    for number in range(2):
        publish(repo, f"b.org/x:w{number}:item", OTHER)
        release = ["catalog", "-n", "lib", "release", f"v{number}"]
        ended = together(box_world, ["catalog", "update"], [*release, "one"], ["catalog", "update"], [*release, "two"])
        assert [status for status, _, _ in ended] == [0] * 4, ended
        releases.append(f"v{number}")
        lib = Catalog(box_world.path(".warpforge/catalogs/lib"))
        assert (lib.module("b.org/x") or pytest.fail("it is gone")).releases.keys() == {"v1"} | {
            f"w{past}" for past in range(number + 1)
        }
        for module in ("a.org/one", "a.org/two"):
            assert [*(lib.module(module) or pytest.fail("it is gone")).releases] == releases
            made = lib.release(module, releases[-1])
            assert made is not None and made.replay and lib.replay(module, made.replay)
    assert "0 errors" in box_world.run("catalog", "-n", "lib", "check").out
    assert os.listdir(box_world.path(".warpforge/tmp")) == []
