"""A ware whose id says less than its tree: a second tree under the same id is refused wherever it comes from."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.repositories import Repo
from support.world import Result, World

from warpforge.catalog.edit import edit
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import WareId
from warpforge.model.catalog import Release

TRUE, FORGED = "true/target", "/etc/shadow"


def archive(packtype: str, target: str) -> bytes:
    """The same files, and a symlink that no id of tar or zip covers."""
    made = io.BytesIO()
    if packtype == "tar":
        with tarfile.open(fileobj=made, mode="w") as tar:
            for name, kind in ((".", tarfile.DIRTYPE), ("a", tarfile.REGTYPE), ("l", tarfile.SYMTYPE)):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, target if name == "l" else ""
                member.mode, member.mtime = 0o755, 1262304000
                tar.addfile(member)
        return made.getvalue()
    with zipfile.ZipFile(made, "w") as file:
        for name, mode, data in (("a", 0o100644, b""), ("l", 0o120777, target.encode())):
            info = zipfile.ZipInfo(name, (2010, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, mode << 16
            file.writestr(info, data)
    return made.getvalue()


class Arrivals:
    """A true and a forged archive of one id, each at its place; the true one was seen by this workspace."""

    def __init__(self, world: World, packtype: str) -> None:
        self.world = world
        self.packtype = packtype
        world.root_workspace()
        for name, target in (("true", TRUE), ("forged", FORGED)):
            world.write(name, archive(packtype, target))
        ids = {world.run("ware", "scan", "-t", packtype, name).out for name in ("true", "forged")}
        assert len(ids) == 1, "the ids are the same: that is the flaw"
        self.ware = ids.pop().strip()

    def address(self, name: str) -> str:
        return f"file://{self.world.path(name)}"

    def fetch(self, name: str) -> str:
        return self.world.run("ware", "fetch", self.ware, self.address(name)).out

    def forget(self, *names: str) -> None:
        for name in names:
            path = self.world.path(f".warpforge/{name}")
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def link(self) -> str:
        self.world.run("ware", "unpack", self.ware, "--path", "out", "--force")
        return os.readlink(self.world.path("out/l"))


@pytest.fixture(params=["tar", "zip"])
def arrivals(world: World, request: pytest.FixtureRequest) -> Arrivals:
    return Arrivals(world, request.param)


def refused(result: Result) -> None:
    """Refused for what it is: the innermost cause."""
    cause = result.causes[-1]
    assert (cause["code"], cause["details"]["reason"]) == ("warpforge-error-ware-mismatch", "symlinks"), str(result)
    assert result.exit == 1


def test_a_forged_tree_is_refused_wherever_it_comes_from(arrivals: Arrivals) -> None:
    world, ware = arrivals.world, arrivals.ware
    arrivals.fetch("true")
    arrivals.forget("warehouse", "cache", "index.lmdb")
    refused(world.fail("ware", "fetch", ware, arrivals.address("forged")))
    refused(world.fail("catalog", "add", "tar", "-t", arrivals.packtype, "x.org/x:v1:x", "forged"))
    hashed = ware.partition(":")[2]
    place = f"{arrivals.packtype}/" * (arrivals.packtype != "tar") + f"{hashed[:3]}/{hashed[3:6]}/{hashed}"
    world.write(f"stand-in/{place}", world.path("forged").read_bytes())
    env = {"WARPFORGE_WAREHOUSE": str(world.path("stand-in"))}
    refused(world.fail("ware", "unpack", ware, "--path", "out", env=env))
    assert not world.path("out").exists()
    world.write(f".warpforge/warehouse/{place}", world.path("forged").read_bytes())
    refused(world.fail("ware", "unpack", ware, "--path", "out"))
    found = world.fail("store", "verify", "--deep")
    assert "symlinks" in found.out + found.err
    arrivals.forget("warehouse")
    arrivals.fetch("true")
    assert arrivals.link() == TRUE


def test_a_forged_mirror_does_not_keep_the_true_one_from_giving(arrivals: Arrivals) -> None:
    world = arrivals.world
    arrivals.fetch("true")
    arrivals.forget("warehouse", "cache", "index.lmdb")
    mirrors = {"mirrors.v1": [arrivals.address("forged"), arrivals.address("true")]}
    world.write(".warpforge/config/mirrors.json", mirrors)
    said = world.run("ware", "fetch", arrivals.ware)
    assert said.out.endswith(f"{arrivals.address('true')}\n") and "symlinks" in said.err
    assert arrivals.link() == TRUE


def release(world: World, ware: str, dual: str, address: str) -> None:
    catalog = Catalog(world.path(".warpforge/catalogs/default"))
    catalog.path.mkdir(parents=True, exist_ok=True)
    with edit(catalog, "x.org/x") as module:
        module.put_release(Release("v1", {"x": WareId.parse(ware)}, {"ztar.x": dual}))
    world.write(
        ".warpforge/catalogs/default/x.org/x/_mirrors.json", {"catalogmirrors.v1": {"byWare": {ware: [address]}}}
    )


def test_a_release_may_say_which_tree_it_means(arrivals: Arrivals, tmp_path: Path) -> None:
    world, ware = arrivals.world, arrivals.ware
    spelling = {"tar": "ztar:", "zip": ""}[arrivals.packtype]  # the id, or its hash alone
    other = World(tmp_path / "other")
    other.root_workspace()
    shutil.copytree(world.root, other.root, dirs_exist_ok=True)
    other.run("ware", "fetch", ware, arrivals.address("true"))
    (file,) = other.path(".warpforge/duals").rglob(ware.partition(":")[2])
    dual = spelling + file.read_text().strip().partition(":")[2]
    release(world, ware, dual, arrivals.address("forged"))
    for command in (("ware", "fetch", ware), ("mirror", "pull", "x.org/x:v1:x"), ("mirror", "pull")):
        refused(world.fail(*command))
    assert not [path for path in world.path(".warpforge").rglob("*") if path.name == ware.partition(":")[2]]
    inputs = {"/": "catalog:x.org/x:v1:x"}
    step = {"protoformula": {"inputs": inputs, "action": {"exec": {"command": ["/a"]}}, "outputs": {}}}
    world.write("plot.wf", {"plot.v1": {"inputs": {}, "steps": {"s": step}, "outputs": {}}})
    refused(world.fail("run", "plot.wf"))
    release(world, ware, dual, arrivals.address("true"))
    assert "fetched" in world.run("mirror", "pull").out
    assert arrivals.link() == TRUE


def test_what_came_before_the_release_spoke(arrivals: Arrivals) -> None:
    world, ware = arrivals.world, arrivals.ware
    arrivals.fetch("forged")
    release(world, ware, "ztar:" + "1" * 44, arrivals.address("true"))
    world.write("plot.wf", {"plot.v1": {"inputs": {"x": "catalog:x.org/x:v1:x"}, "steps": {}, "outputs": {}}})
    refused(world.fail("run", "plot.wf"))


def test_a_packed_git_ware_comes_only_with_a_release_that_says_its_tree(world: World, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    ware = f"git:{repo.commit({'a': '1'})}"
    other = World(tmp_path / "other")
    other.root_workspace()
    other.run("ware", "fetch", ware, f"file://{repo.path}")
    there = f"ca+file://{tmp_path}/place"
    other.run("ware", "push", ware, there)
    world.root_workspace()
    failed = world.fail("ware", "fetch", ware, there)
    assert (failed.code, failed.exit) == ("fetch", 4)
    (file,) = other.path(".warpforge/duals").rglob(ware[4:])
    release(world, ware, "ztar:" + "1" * 44, there)
    assert world.fail("ware", "fetch", ware).code == "fetch"
    release(world, ware, file.read_text().strip(), there)
    assert "fetched" in world.run("ware", "fetch", ware).out
    assert world.run("ware", "cat", ware, "a").out == "1"


def test_a_commit_whose_tree_is_another_than_before(world: World, tmp_path: Path) -> None:
    """Nobody can forge that but our own store's keeper: the dual id is what the tree is checked by."""
    repo = Repo(tmp_path / "repo")
    commit = repo.commit({"a": "1"})
    world.root_workspace()
    world.run("ware", "fetch", f"git:{commit}", f"file://{repo.path}")
    (packed,) = world.path(".warpforge/warehouse/git").rglob(commit)
    world.write("d/a", "2")
    other = world.run("ware", "pack", "d").out.strip().partition(":")[2]
    (forged,) = world.path(".warpforge/warehouse/ztar").rglob(other)
    packed.unlink()
    shutil.copy(forged, packed)
    assert world.fail("ware", "unpack", f"git:{commit}", "--path", "out").code == "ware-mismatch"
    assert world.fail("ware", "scan", f"git:{commit}").code == "ware-mismatch"
    assert world.fail("store", "verify", "--deep").exit == 1


def test_packing_another_symlink_under_a_known_id(world: World) -> None:
    world.root_workspace()
    world.write("d/a", "x")
    world.path("d/l").symlink_to("a")
    ware = world.run("ware", "pack", "-t", "tar", "d").out
    world.path("d/l").unlink()
    world.path("d/l").symlink_to("/etc/shadow")
    refused(world.fail("ware", "pack", "-t", "tar", "d"))
    assert world.run("ware", "pack", "-t", "ztar", "d").out != ware
