"""Git wares: a commit's tree from any repository, by formula, by catalog, by workspace, and looked into."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.plots import plot, script
from support.repositories import Repo, git_daemon, http_repositories
from support.world import World

from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef, WareId

ENTRIES = """\
d 0755 .
f 0644 .gitmodules
f 0644 a
f 0755 run
d 0755 sub.d
f 0644 sub.d/x
d 0755 sub
f 0644 sub/.gitmodules
f 0644 sub/b
d 0755 sub/deep
f 0644 sub/deep/c
""".splitlines()


class Upstream:
    """A repository ``repo`` with a submodule in a submodule; ``commit`` is not the newest."""

    def __init__(self, base: Path) -> None:
        self.base = base
        deep, inner, repo = (Repo(base / name) for name in ("deep", "inner", "repo"))
        deep.commit({"c": "see"})
        inner.write("b", "bee")
        inner.submodule(deep, "deep", "../deep")
        inner.commit()
        repo.write("run", "#!/bin/sh\n", mode=0o755)
        repo.submodule(inner, "sub", "../inner")
        self.commit = repo.commit({"a": "1", "sub.d/x": "x"})
        repo.commit({"a": "2"})
        self.repo = repo
        self.ware = f"git:{self.commit}"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return Upstream(tmp_path_factory.mktemp("upstream") / "base")


@pytest.mark.parametrize("kind", ["file", "git+file", "http", "git+http", "names", "daemon"])
def test_every_kind_of_place_gives_the_same_tree(world: World, upstream: Upstream, kind: str) -> None:
    world.root_workspace()
    plain = kind.removeprefix("git+")
    if plain == "file":
        urls = [f"file://{upstream.base}"]
        fetch(world, kind, urls[0], upstream)
    elif plain == "daemon":
        with git_daemon(upstream.base) as url:
            fetch(world, kind, url, upstream)
    else:
        with http_repositories(upstream.base, single_commits=kind != "names") as url:
            fetch(world, kind, url, upstream)


def fetch(world: World, kind: str, url: str, upstream: Upstream) -> None:
    address = ("git+" if kind.startswith("git+") else "") + url + "/repo"
    moved = world.run("--json", "ware", "fetch", upstream.ware, address).all("moved")
    assert [row["outcome"] for row in moved] == ["fetched"]
    shown = [line.split() for line in world.run("ware", "show", upstream.ware).out.splitlines()]
    assert [f"{row[0]} {row[1]} {row[6]}" for row in shown] == ENTRIES
    assert {(row[2], row[3]) for row in shown} == {("0:0", "1262304000")}
    assert world.run("ware", "cat", upstream.ware, "a").out == "1"
    assert world.run("ware", "cat", upstream.ware, "sub/deep/c").out == "see"
    (origin,) = world.path(".warpforge/origins/git").rglob(upstream.commit)
    places = [(part["path"], part["from"]) for part in json.loads(origin.read_text())["origin.v1"]]
    assert places == [(".", f"{url}/repo"), ("sub", f"{url}/inner"), ("sub/deep", f"{url}/deep")]
    missing = world.fail("ware", "fetch", "git:" + "1" * 40, address)
    assert (missing.exit, missing.error["details"]["reason"]) == (3, "not-found")


def test_a_formula_takes_a_commit_from_its_context(
    box_world: World, busybox: Any, upstream: Upstream, tmp_path: Path
) -> None:
    body = {
        "inputs": {"/": f"ware:{busybox.ware}", "/src": f"ware:{upstream.ware}"},
        "action": {"exec": {"command": ["/bin/sh", "-c", "cat /src/a /src/sub/b; /src/run"]}},
        "outputs": {},
    }
    place = tmp_path / "place"
    shutil.copytree(upstream.base, place)
    context = {"warehouses": {upstream.ware: f"file://{place}/repo"}}
    box_world.write("f.wf", {"formula": {"formula.v1": body}, "context": {"context.v1": context}})
    assert "1bee" in box_world.run("run", "f.wf").err
    place.rename(tmp_path / "gone")
    assert "1bee" in box_world.run("run", "-f", "f.wf").err, "it is here now"


@pytest.mark.parametrize("key", ["byWare", "byModule", "workspace"])
def test_a_plot_takes_a_release_from_where_catalogs_and_workspaces_say(
    box_world: World, upstream: Upstream, key: str
) -> None:
    address = f"file://{upstream.base}/repo"
    module = Catalog(box_world.path(".warpforge/catalogs/test"))
    add_item(module, CatalogRef("example.org/src", "v1", "src"), WareId.parse(upstream.ware))
    mirrors = {"byWare": {upstream.ware: [address]}, "byModule": {"example.org/src": {"git": [address]}}}
    if key == "workspace":
        box_world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [address]})
    else:
        path = ".warpforge/catalogs/test/example.org/src/_mirrors.json"
        box_world.write(path, {"catalogmirrors.v1": {key: mirrors[key]}})
    steps = {"s": script("cat /src/a /src/sub/b", inputs={"/src": "pipe::src"})}
    box_world.write("plot.wf", plot(steps, inputs={"src": "catalog:example.org/src:v1:src"}))
    assert "s | 1bee" in box_world.run("run", "plot.wf").err
    assert "there" in box_world.run("mirror", "ls", "--check", upstream.ware).out
