"""Git wares: a commit's tree from any repository, by formula, by catalog, by workspace, and looked into."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.plots import plot, script
from support.repositories import Repo, git_daemon, http_repositories
from support.world import WARPFORGE, World

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


@pytest.mark.parametrize("kind", ["file", "git+http", "names", "daemon"])
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
    assert "fetch" in box_world.run("plan", "plot.wf").out
    assert "s | 1bee" in box_world.run("run", "--offline", "plot.wf").err
    assert "there" in box_world.run("mirror", "ls", "--check", upstream.ware).out


def test_offline_no_repository_elsewhere_is_asked(world: World, upstream: Upstream, tmp_path: Path) -> None:
    world.root_workspace()
    asked: list[str] = []

    def note(handler: BaseHTTPRequestHandler) -> bool:
        asked.append(handler.path)
        return False

    with http_repositories(upstream.base, before=note) as url:
        repo = Repo(tmp_path / "outer")
        repo.submodule(upstream.repo, "sub", f"{url}/repo".replace("http:", "https:"))
        repo.commit()
        shutil.rmtree(repo.path / "sub")
        shutil.rmtree(repo.path / ".git/modules")
        inputs = {"x": f"ingest:git:{repo.path}:HEAD"}
        world.write("plot.wf", {"plot.v1": {"inputs": inputs, "steps": {}, "outputs": {}}})
        failed = world.fail("run", "--offline", "plot.wf")
        assert failed.causes[-1]["details"]["reason"] == "offline"
    assert asked == []


def test_a_commit_is_published_by_name(world: World, upstream: Upstream) -> None:
    world.root_workspace()
    ref = "example.org/src:v1:src"
    upstream.repo.git("tag", "-f", "-am", "x", "v1", upstream.commit)
    with http_repositories(upstream.base) as url:
        assert world.run("ware", "scan", f"git+{url}/repo#v1").out.strip() == upstream.ware
        world.run("catalog", "add", "git", ref, f"{url}/repo", "v1")
        mirrors = world.read_json(".warpforge/catalogs/default/example.org/src/_mirrors.json")
        assert mirrors == {"catalogmirrors.v1": {"byModule": {"example.org/src": {"git": [f"{url}/repo"]}}}}
        assert upstream.ware in world.run("catalog", "show", ref).out
        assert world.fail("catalog", "add", "git", ref, f"{url}/repo", "v1").code == "already-exists"
        for wrong in ("nope", "1" * 40):
            failed = world.fail("catalog", "add", "git", "example.org/src:v2:src", f"{url}/repo", wrong)
            assert (failed.code, failed.error["details"]["reason"]) == ("git", "ref")
        assert "fetched" in world.run("mirror", "pull", ref).out
    assert world.run("ware", "scan", upstream.ware).out.strip() == upstream.ware


def test_a_stopped_fetch_leaves_nothing(world: World, upstream: Upstream) -> None:
    """Killed or interrupted while the server keeps it waiting: no git goes on, and the next command is as before."""
    world.root_workspace()
    release, waiting = threading.Event(), threading.Event()

    def hold(handler: BaseHTTPRequestHandler) -> bool:
        if handler.command == "POST":
            waiting.set()
            release.wait(60)
        return False

    with http_repositories(upstream.base, before=hold) as url:
        for number in (signal.SIGKILL, signal.SIGINT):
            waiting.clear()
            command = [str(WARPFORGE), "ware", "fetch", upstream.ware, f"{url}/repo"]
            running = subprocess.Popen(command, cwd=world.root, env=world.environment(), stderr=subprocess.DEVNULL)
            assert waiting.wait(60)
            running.send_signal(number)
            assert running.wait(60) in (-number, 130)
            assert gone(str(world.root)), "git is still there"
        release.set()
        assert "fetched" in world.run("ware", "fetch", upstream.ware, f"{url}/repo").out
    assert not [*world.path(".warpforge/tmp").iterdir()]


def gone(text: str) -> bool:
    """Whether no git that holds a text in its command line is left, after a while at most."""
    for _ in range(200):
        said = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
        if not [line for line in said.splitlines() if line.startswith(("git ", "/bin/sh")) and text in line]:
            return True
        time.sleep(0.05)
    return False
