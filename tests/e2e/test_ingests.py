"""Ingests as people write them: what comes in, what is left out, and what is said when it cannot be."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.repositories import Repo
from support.world import Result, World

from warpforge.engine.events import Reporter
from warpforge.engine.ingest import Ingester
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import Ingest
from warpforge.pack.lazy import Lazy
from warpforge.store.store import Store

WRONG: dict[str, tuple[str, str, int]] = {
    "git:nowhere:HEAD": ("missing", "nowhere", 3),
    "git:file:HEAD": ("missing", "file", 3),
    "git:plain:HEAD": ("git", "no git repository", 4),
    "git:repo/inner:HEAD": ("git", "repo is one", 4),
    "git:repo:nope": ("git", "nope", 4),
    "git:repo:blob": ("git", "blob", 4),
    "git:repo:1234567890123456789012345678901234567890": ("git", "1234567890", 4),
    "git:empty:HEAD": ("git", "HEAD", 4),
    "git:broken:HEAD": ("git", "broken", 4),
    "dir:nowhere": ("missing", "nowhere", 3),
    "dir:file": ("missing", "file", 3),
    "dir:socket": ("ware-invalid", "s", 2),
    "dir:linked": ("io", ".wfignore", 4),
    "dir:ignoredir": ("io", ".wfignore", 4),
    "tar:nowhere": ("missing", "nowhere", 3),
    "tar:plain": ("io", "plain", 4),
    "tar:fifo": ("io", "fifo", 4),
    "tar:file": ("ware-corrupt", "", 4),
    "tar:evil.tar": ("ware-invalid", "evil", 2),
    "tar:file/below": ("missing", "file/below", 3),
}


def ingest(world: World, what: str, *, fails: bool = False) -> Result:
    """Run a plot without steps: its inputs are pinned all the same."""
    world.write("plot.wf", {"plot.v1": {"inputs": {"x": f"ingest:{what}"}, "steps": {}, "outputs": {}}})
    return world.fail("run", "plot.wf") if fails else world.run("--json", "run", "plot.wf")


def taken(world: World, what: str) -> dict[str, Any]:
    event: dict[str, Any] = ingest(world, what).one("ingested")
    return event


@pytest.fixture
def house(world: World) -> World:
    """A workspace with something of everything in it."""
    world.root_workspace()
    world.write("file", "no archive at all")
    world.path("plain").mkdir()
    repo = Repo(world.path("repo"))
    repo.commit({"a": "1", "inner/b": "2"})
    repo.git("tag", "blob", repo.blob())
    Repo(world.path("empty"))
    broken = Repo(world.path("broken"))
    broken.commit({"a": "1"})
    for path in [*(broken.path / ".git/objects").rglob("*")]:
        if path.is_file():
            path.unlink()
            path.write_bytes(b"")
    os.mkfifo(world.path("fifo"))
    world.path("socket").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(world.path("socket"))
        bound.bind("s")
        os.chdir(here)
    world.path("linked").mkdir()
    world.path("linked/.wfignore").symlink_to("../file")
    world.path("ignoredir/.wfignore").mkdir(parents=True)
    with tarfile.open(world.path("evil.tar"), "w") as tar:
        tar.addfile(tarfile.TarInfo("../evil"))
    return world


def test_what_cannot_be_taken_is_told(house: World) -> None:
    """All of them without the command line, and one with it."""
    with Store(house.path(".warpforge")) as store:
        ingester = Ingester(store, Reporter())
        for what, (code, said, status) in WRONG.items():
            with pytest.raises(WarpforgeError) as caught:
                ingester.ingest(Ingest.parse(f"ingest:{what}"), house.root)
            error = caught.value
            innermost = error.chain()[-1]
            assert (innermost.code, error.exit_status()) == (f"warpforge-error-{code}", status), (what, error)
            assert said in error.message, (what, error)
    warehouse = house.path(".warpforge/warehouse")
    assert not warehouse.exists() or not [path for path in warehouse.rglob("*") if path.is_file()]
    assert not [*house.path(".warpforge/tmp").iterdir()]
    assert ingest(house, "git:repo/inner:HEAD", fails=True).exit == 4


def test_a_commit_that_is_here_is_not_fetched_again(house: World) -> None:
    first = taken(house, "git:repo:HEAD")
    assert first["cached"] is False
    repo = Repo.__new__(Repo)
    repo.path = house.path("repo")
    blob = repo.git("rev-parse", "HEAD:a")
    (repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()  # whoever fetched would fail
    for ref in ("HEAD", "main", first["ware"].partition(":")[2]):
        assert taken(house, f"git:repo:{ref}") == {**first, "ingest": f"ingest:git:repo:{ref}", "cached": True}


@pytest.mark.parametrize("where", ["../repo", "repo", "/absolute", "with:colon", "bare.git"])
def test_paths_of_repositories(world: World, where: str) -> None:
    world.root_workspace()
    path = world.path("../repo") if where == "../repo" else world.path(where.strip("/"))
    repo = Repo(path if where != "bare.git" else world.path("source"))
    commit = repo.commit({"a": "1"})
    if where == "bare.git":
        repo.git("clone", "-q", "--bare", ".", "../bare.git")
    named = str(path) if where == "/absolute" else where
    assert taken(world, f"git:{named}:HEAD")["ware"] == f"git:{commit}"


def test_submodules_of_a_clone_without_them_come_from_where_they_are_recorded(world: World, tmp_path: Path) -> None:
    world.root_workspace()
    inner, outer = Repo(tmp_path / "up/inner"), Repo(tmp_path / "up/outer")
    inner.commit({"b": "bee"})
    outer.submodule(inner, "sub", "../inner")
    outer.commit()
    outer.git("clone", "-q", "--no-recurse-submodules", ".", str(world.path("clone")))
    failed = ingest(world, "git:clone:HEAD", fails=True)
    assert (failed.error["code"], failed.error["details"]["path"]) == ("warpforge-error-git", "sub")
    outer.git("clone", "-q", "--no-recurse-submodules", ".", str(tmp_path / "up/clone"))
    ware = taken(world, f"git:{tmp_path}/up/clone:HEAD")["ware"]
    assert world.run("ware", "cat", ware, "sub/b").out == "bee"


def test_a_submodule_that_is_laid_away_or_checked_out_need_not_be_fetched(world: World, tmp_path: Path) -> None:
    world.root_workspace()
    inner, outer = Repo(tmp_path / "inner"), Repo(world.path("outer"))
    inner.commit({"b": "bee"})
    outer.submodule(inner, "sub", "https://127.0.0.1:1/nowhere")
    commit = outer.commit()
    if os.path.lexists(inner.path):
        inner.path.rename(tmp_path / "gone")
    ware = taken(world, "git:outer:HEAD")["ware"]
    assert (ware, world.run("ware", "cat", ware, "sub/b").out) == (f"git:{commit}", "bee")
    outer.git("submodule", "deinit", "-f", "sub")
    second = outer.commit({"c": "3"})
    assert taken(world, "git:outer:HEAD")["ware"] == f"git:{second}"
    said = world.run("ware", "origin", f"git:{second}").out
    assert "/outer/.git/modules/sub  sub\n" in said


def test_hostile_submodules_are_not_followed(world: World) -> None:
    world.root_workspace()
    for number, url in enumerate(("ext::sh -c touch% ran", "../" * 40 + "x", "ftp://example.org/x")):
        repo = Repo(world.path(f"repo{number}"))
        repo.write(".gitmodules", f'[submodule "s"]\n\tpath = s\n\turl = {url}\n')
        repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},s")
        repo.git("add", ".gitmodules")
        repo.git("commit", "-qm", "x")
        failed = ingest(world, f"git:repo{number}:HEAD", fails=True)
        assert (failed.code, failed.causes[-1]["details"]["reason"]) == ("git", "unsafe")
    assert not [*world.root.rglob("ran")]


def test_a_directory_is_taken_as_it_is(world: World) -> None:
    world.root_workspace()
    raw = os.fsencode(world.path("d"))
    os.mkdir(raw)
    for name in (b"\xff\xfe", b"new\nline", b"back\\slash", b"plain"):
        Path(os.fsdecode(raw + b"/" + name)).write_bytes(b"x")
    Path(os.fsdecode(raw + b"/plain")).chmod(0o600)
    world.path("d/link").symlink_to("/nowhere")
    world.path("d/empty").mkdir(mode=0o700)
    ware = taken(world, "dir:d")["ware"]
    assert ware.startswith("ztar:")
    shown = {line.split(" ", 6)[6]: line.split()[:2] for line in world.run("ware", "show", ware).out.splitlines()}
    assert shown == {
        ".": ["d", "0755"], "\\xff\\xfe": ["f", "0644"], "new\\nline": ["f", "0644"], "back\\\\slash": ["f", "0644"],
        "plain": ["f", "0644"], "link -> /nowhere": ["L", "0777"], "empty": ["d", "0755"],
    }  # fmt: skip


def test_tars_and_literals(world: World) -> None:
    world.root_workspace()
    for name, mode in (("t.tar", "w"), ("t.tar.gz", "w:gz"), ("t.tar.bz2", "w:bz2"), ("t.tar.xz", "w:xz")):
        with tarfile.open(world.path(name), mode) as tar:  # type: ignore[call-overload]
            member = tarfile.TarInfo("a")
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    with Store(world.path(".warpforge")) as store:
        ingester = Ingester(store, Reporter())
        names = ("t.tar", "t.tar.gz", "t.tar.bz2", "t.tar.xz")
        wares = {ingester.ingest(Ingest("tar", name), world.root) for name in names}
        assert [ware.packtype for ware in wares] == ["tar"]
        for text in ("", "plain", "with: colons: and\nlines", "t\u00e9xt \u202e"):
            ware = ingester.ingest(Ingest.parse(f"ingest:literal:{text}"), world.root)
            with store.warehouse.open(ware) as packed:
                content = b"".join(Lazy(packed, "ztar").open(b"."))
            assert (ware.packtype, content.decode()) == ("ztar", text)
