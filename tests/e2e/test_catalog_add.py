"""``warpforge catalog add`` and ``ingest-git-tags``: archives, directories and commits get names."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.repositories import Repo
from support.world import World


@pytest.fixture
def rooted(world: World) -> World:
    world.root_workspace()
    world.run("catalog", "init", "test")
    return world


@pytest.fixture
def repository(tmp_path: Path) -> Repo:
    """Three tags: a plain one, one with a message, and one that no release can be called."""
    repo = Repo(tmp_path / "repository")
    repo.commit({"file": "one"})
    repo.git("tag", "v1")
    repo.commit({"file": "two"})
    repo.git("tag", "-a", "-m", "second", "v2")
    repo.git("tag", "odd/name")
    return repo


def module(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.read_json(f".warpforge/catalogs/test/{name}/_module.json")["catalogmodule.v1"]
    return found


def items(world: World, ref: str) -> dict[str, str]:
    found: dict[str, str] = world.run("--json", "catalog", "show", ref).one("release")["items"]
    return found


def test_a_directory_is_packed_as_an_ingest_packs_it(rooted: World) -> None:
    rooted.write("tree/kept", "x")
    rooted.write("tree/left.o", "x")
    rooted.write("tree/.wfignore", "*.o\n")
    rooted.run("catalog", "-n", "test", "add", "dir", "a.org/x:v1:tree", "tree")
    (ware,) = items(rooted, "a.org/x:v1").values()
    assert (
        rooted.run("ware", "ls", ware).out.split() == ["./", ".wfignore", "kept"]
        or "left.o" not in rooted.run("ware", "ls", ware).out
    )
    again = rooted.fail("catalog", "-n", "test", "add", "dir", "a.org/x:v1:tree", "tree")
    assert again.code == "already-exists"
    rooted.run("catalog", "-n", "test", "-f", "add", "dir", "a.org/x:v1:tree", "tree")


def test_a_wheel_is_a_zip(rooted: World) -> None:
    with zipfile.ZipFile(rooted.path("x.whl"), "w") as wheel:
        wheel.writestr("pkg/__init__.py", "x = 1\n")
    rooted.run("catalog", "-n", "test", "add", "zip", "a.org/x:v1:wheel", "x.whl")
    (ware,) = items(rooted, "a.org/x:v1").values()
    assert ware.startswith("zip:") and rooted.run("ware", "cat", ware, "pkg/__init__.py").out == "x = 1\n"


def test_a_tag_with_a_message_is_its_commit(rooted: World, repository: Repo) -> None:
    rooted.run("catalog", "-n", "test", "add", "git", "a.org/x:v2:src", repository.path, "v2")
    assert items(rooted, "a.org/x:v2") == {"src": "git:" + repository.git("rev-parse", "v2^{commit}")}
    # and it can be had: the repository is a mirror of the module
    (ware,) = items(rooted, "a.org/x:v2").values()
    rooted.run("mirror", "pull", "a.org/x:v2:src")
    assert rooted.run("ware", "cat", ware, "file").out == "two"
    missing = rooted.fail("catalog", "-n", "test", "add", "git", "a.org/x:v3:src", repository.path, "nothing")
    assert missing.code == "git" and missing.error["details"]["reason"] == "ref"


def test_every_tag_becomes_a_release(rooted: World, repository: Repo) -> None:
    done = rooted.run("catalog", "-n", "test", "ingest-git-tags", "a.org/x", repository.path, "src")
    assert set(module(rooted, "a.org/x")["releases"]) == {"v1", "v2"}
    assert "odd/name" in done.err
    repository.commit({"file": "three"})
    repository.git("tag", "v3")
    repository.git("tag", "-f", "v1")
    before = items(rooted, "a.org/x:v1")
    again = rooted.run("--json", "catalog", "-n", "test", "ingest-git-tags", "a.org/x", repository.path, "src")
    assert [added["ref"] for added in again.all("added")] == ["a.org/x:v3:src"]
    assert items(rooted, "a.org/x:v1") == before  # a tag that moved does not move its release
    rooted.run("catalog", "-n", "test", "-f", "ingest-git-tags", "a.org/x", repository.path, "src")
    assert items(rooted, "a.org/x:v1") != before


def test_what_is_no_archive_is_named(rooted: World) -> None:
    rooted.write("garbage", "garbage\n")
    for packtype in ("tar", "zip"):
        failed = rooted.fail("catalog", "-n", "test", "add", packtype, "a.org/x:v1:item", "garbage")
        assert failed.code == "ware-corrupt" and str(failed.error["message"]).startswith("garbage is not kept")


def test_wrong_words(rooted: World, repository: Repo) -> None:
    for words, status in (
        (["add", "dir", "a.org/x:v1:tree", "nowhere"], 3),
        (["add", "dir", "not a ref", "."], 2),
        (["add", "zip", "a.org/x:v1:zip", "nowhere.zip"], 3),
        (["add", "git", "a.org/x:v1:src", "ext::sh -c id", "v1"], 3),
        (["add", "git", "a.org/x:v1:src", str(repository.path), "--upload-pack=x"], 2),
        (["ingest-git-tags", "Not A Module", str(repository.path), "src"], 2),
        (["ingest-git-tags", "a.org/x", str(repository.path), "not an item"], 2),
        (["-n", "nowhere", "add", "dir", "a.org/x:v1:tree", "."], 3),
    ):
        assert rooted.fail("catalog", *(["-n", "test"] if "-n" not in words else []), *words).exit == status, words
    assert not rooted.path(".warpforge/catalogs/test/a.org").exists()
