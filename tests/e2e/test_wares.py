"""Wares, catalogs and ingests through the command line."""

from __future__ import annotations

import os
import subprocess
import tarfile

import pytest
from support.plots import plot, script
from support.world import World

GIT = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}


def git(world: World, *args: str, cwd: str = "repo") -> str:
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *args],
        cwd=world.path(cwd),
        env=world.environment(GIT),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def tree(world: World, path: str = "tree") -> None:
    world.write(f"{path}/a/file", "content\n").chmod(0o755)
    world.write(f"{path}/b", "other\n")
    world.path(f"{path}/link").symlink_to("a/file")


@pytest.mark.both
@pytest.mark.parametrize("packtype", ["tar", "ztar"])
def test_pack_scan_unpack_and_show_agree(world: World, packtype: str) -> None:
    tree(world)
    world.root_workspace()
    packed = world.run("ware", "pack", "-t", packtype, "--to", world.path("mirror"), "tree")
    ware = packed.out.strip()
    assert packed.out == f"{ware}\n"
    assert ware.startswith(f"{packtype}:")
    (pushed,) = [p for p in world.path("mirror").rglob("*") if p.is_file()]
    assert world.run("ware", "scan", "-t", packtype, pushed).out == f"{ware}\n"
    assert world.run("ware", "scan", "-t", packtype, f"file://{pushed}").out == f"{ware}\n"
    world.run("ware", "unpack", "--path", "back", ware)
    assert world.path("back/a/file").read_text() == "content\n"
    assert world.path("back/a/file").stat().st_mode & 0o7777 == 0o755
    assert os.readlink(world.path("back/link")) == "a/file"
    assert world.run("ware", "pack", "-t", packtype, "back").out == f"{ware}\n"
    shown = [world.run("ware", "show", *what).out for what in ((ware,), (str(pushed), "-t", packtype), ("back",))]
    assert shown[0] == shown[1]
    assert [line.split()[6] for line in shown[2].splitlines()] == [".", "a", "a/file", "b", "link"]


def test_filters_give_another_ware(world: World) -> None:
    tree(world)
    world.root_workspace()
    plain = world.run("ware", "pack", "tree").out
    assert world.run("ware", "pack", "--filters", "uid=0,gid=0,mtime=@1262304000", "tree").out == plain
    dated = world.run("ware", "pack", "--filters", "mtime=2010-01-01T00:00:01Z", "tree").out
    assert dated != plain
    assert world.run("ware", "pack", "--filters", "mtime=@1262304001", "tree").out == dated


def test_a_single_file_is_a_ware(world: World) -> None:
    world.root_workspace()
    world.write("one", "single\n")
    ware = world.run("ware", "pack", "one").out.strip()
    world.run("ware", "unpack", "--path", "two", ware)
    assert world.path("two").read_text() == "single\n"


def test_unpack_refuses_a_directory_with_something_in_it(world: World) -> None:
    tree(world)
    world.root_workspace()
    ware = world.run("ware", "pack", "tree").out.strip()
    world.write("full/mine", "mine")
    refused = world.fail("ware", "unpack", "--path", "full", ware)
    assert (refused.code, refused.exit) == ("already-exists", 1)
    assert [p.name for p in world.path("full").iterdir()] == ["mine"]
    world.run("ware", "unpack", "--force", "--path", "full", ware)
    assert sorted(p.name for p in world.path("full").iterdir()) == ["a", "b", "link"]
    world.path("empty").mkdir()
    world.run("ware", "unpack", ware, cwd="empty")
    assert sorted(p.name for p in world.path("empty").iterdir()) == ["a", "b", "link"]
    missing = world.fail("ware", "unpack", "--force", "--path", "full", "ztar:abcdefgh")
    assert (missing.code, missing.exit) == ("missing", 3)
    assert sorted(p.name for p in world.path("full").iterdir()) == ["a", "b", "link"]


def test_a_catalog_gives_a_ware_a_name_and_a_mirror(world: World) -> None:
    tree(world)
    world.root_workspace()
    with tarfile.open(world.path("tree.tar.gz"), "w:gz") as archive:
        archive.add(world.path("tree"), ".")
    address = f"file://{world.path('tree.tar.gz')}"
    world.run("catalog", "init", "mine")
    world.run("catalog", "-n", "mine", "add", "tar", "example.org/tree:v1:any", address)
    ware = world.run("ware", "scan", "-t", "tar", "tree.tar.gz").out.strip()
    release = world.read_json(".warpforge/catalogs/mine/example.org/tree/_releases/v1.json")
    assert release["items"] == {"any": ware}
    mirrors = world.read_json(".warpforge/catalogs/mine/example.org/tree/_mirrors.json")
    assert mirrors["catalogmirrors.v1"]["byWare"] == {ware: [address]}
    again = world.fail("catalog", "-n", "mine", "add", "tar", "example.org/tree:v1:any", address)
    assert (again.code, again.exit) == ("already-exists", 1)
    world.run("catalog", "-n", "mine", "add", "tar", "--force", "example.org/tree:v1:any", address)
    assert "example.org/tree:v1:any" in world.run("catalog", "ls", "--refs").out
    assert world.fail("catalog", "ls", "example.org/other").code == "catalog-missing-entry"
    assert world.fail("catalog", "-n", "other", "ls", "--refs").code == "missing"
    shown = world.run("catalog", "show", "example.org/tree:v1").out
    assert ware in shown
    assert address in shown
    module = world.path(".warpforge/catalogs/mine/example.org/tree/_module.json")
    identity = world.run("id", ".warpforge/catalogs/mine/example.org/tree/_releases/v1.json").out.strip()
    assert identity in module.read_text()


def test_wares_are_named_as_plots_name_them(world: World) -> None:
    """By reference, with or without its scheme, and by ingest; what is not here comes from the mirrors of catalogs."""
    tree(world)
    world.root_workspace()
    name = "example.org/tree:v1:any"
    with tarfile.open(world.path("tree.tar.gz"), "w:gz") as archive:
        archive.add(world.path("tree"), ".")
    world.run("catalog", "add", "tar", name, f"file://{world.path('tree.tar.gz')}")
    ware = world.run("ware", "scan", f"catalog:{name}").out.strip()
    (held,) = (path for path in world.path(".warpforge/warehouse").rglob("*") if path.is_file())
    for number, said in enumerate((name, f"catalog:{name}", ware, f"ware:{ware}")):
        held.unlink()
        world.run("ware", "unpack", "--path", f"out{number}", said)
        assert world.path(f"out{number}/b").read_text() == "other\n"
    assert world.run("ware", "cat", name, "a/file").out == "content\n"
    assert world.run("ware", "ls", name).out == "a/\nb\nlink\n"
    assert world.call("ware", "diff", "--brief", name, "ingest:dir:tree").exit == 1
    assert world.run("ware", "push", name, "mirror").out.split()[:2] == [ware, "pushed"]
    assert world.run("ware", "fetch", name).out.split() == [ware, "here"]
    world.run("ware", "pin", name, "mine")
    assert world.run("ware", "pin").out == f"mine {ware}\n"
    world.run("ware", "unpin", f"catalog:{name}")
    world.run("catalog", "hazard", "example.org/tree:v1", "rotten")
    assert world.fail("ware", "unpack", "--path", "no", name).error["details"]["reason"] == "hazard"
    world.run("ware", "unpack", "--path", "yes", "--allow-hazard", "example.org/tree:v1", name)
    for wrong, code in (
        ("example.org/tree:v2:any", "catalog-missing-entry"),
        ("candidate:a.org/x:v1:y", "catalog-missing-entry"),
    ):
        for command in ("cat", "pin", "fetch"):
            assert world.fail("ware", command, wrong).code == code


def test_a_changed_release_is_refused(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}))
    (release,) = box_world.path(".warpforge/catalogs/test").rglob("_releases/*.json")
    text = release.read_text()
    release.write_text(text.replace('"metadata": {}', '"metadata": {"x": "y"}'))
    failed = box_world.fail("run", "plot.wf")
    assert (failed.code, failed.exit) == ("catalog-invalid", 2)
    assert failed.causes[-1]["details"]["reason"] == "hash"


@pytest.mark.both
def test_a_missing_ware_comes_from_its_mirror(box_world: World) -> None:
    tree(box_world)
    ware = box_world.run("ware", "pack", "-t", "tar", "--to", box_world.path("mirror"), "tree").out.strip()
    (pushed,) = [p for p in box_world.path("mirror").rglob("*") if p.is_file()]
    box_world.run("catalog", "-n", "test", "add", "tar", "example.org/tree:v1:any", f"file://{pushed}")
    box_world.write(
        "plot.wf",
        plot(
            {"s": script("cat /in/a/file", inputs={"/in": "pipe::tree"})},
            inputs={"tree": "catalog:example.org/tree:v1:any"},
        ),
    )
    (stored,) = box_world.path(".warpforge/warehouse").rglob(ware.removeprefix("tar:"))
    stored.unlink()
    assert "s | content" in box_world.run("run", "plot.wf").err
    stored.unlink()
    for tree_on_shelf in box_world.path(".warpforge/cache/tar").glob("stamp/*/*/*"):
        tree_on_shelf.unlink()
    pushed.rename(f"{pushed}.gone")
    failed = box_world.fail("run", "-f", "plot.wf")
    assert (failed.code, failed.exit) == ("fetch", 3)
    assert str(pushed) in failed.causes[-1]["message"]


def test_a_nearer_catalog_shadows_and_status_says_so(box_world: World) -> None:
    tree(box_world)
    box_world.run("ware", "pack", "--to", f"file://{box_world.path('tree.ztar')}", "tree")
    ref = "warpsys.org/busybox:v1.35.0:amd64-static"
    box_world.run("catalog", "-n", "test", "add", "tar", "-t", "ztar", "--force", ref, "tree.ztar", cwd=".")
    near = box_world.path("near/.warpforge")
    near.mkdir(parents=True)
    box_world.path(".warpforge/catalogs/test").rename(near / "catalog")
    other = box_world.run("catalog", "show", ref, cwd="near").out
    box_world.write("near/plot.wf", plot({"s": script("true")}))
    assert "ztar:" in other
    assert f"{near / 'catalog'}" in box_world.run("status", cwd="near").out


def test_git_ingests_are_exactly_the_tree_of_the_ref(box_world: World) -> None:
    tree(box_world, "repo")
    git(box_world, "init", "-q")
    git(box_world, "add", ".")
    git(box_world, "commit", "-qm", "one")
    first = git(box_world, "rev-parse", "HEAD")
    git(box_world, "tag", "-a", "v1", "-m", "annotated")
    box_world.write("repo/b", "changed\n")
    box_world.write("repo/.gitattributes", "b export-ignore\n")
    git(box_world, "add", ".")
    git(box_world, "commit", "-qm", "two")
    box_world.write("repo/b", "not committed\n")
    for ref, said in (("v1", "other"), (first, "other"), ("HEAD~1", "other"), ("main", "changed"), ("HEAD", "changed")):
        box_world.write(
            "plot.wf",
            plot(
                {"s": script("cat /src/b; ls -A /src", inputs={"/src": "pipe::src"})},
                inputs={"src": f"ingest:git:repo:{ref}"},
            ),
        )
        ran = box_world.run("run", "-f", "plot.wf").err
        assert f"s | {said}\n" in ran, ref
        assert ".git\n" not in ran
    log = box_world.run("--json", "log").all("run")
    assert log[0]["inputs"]["/src"] == f"ware:git:{git(box_world, 'rev-parse', 'HEAD')}"
    box_world.write("plot.wf", plot({"s": script("true")}, inputs={"src": "ingest:git:repo:nope"}))
    failed = box_world.fail("run", "plot.wf")
    assert (failed.code, failed.exit) == ("git", 4)


def test_submodules_come_along_or_are_an_error(box_world: World) -> None:
    tree(box_world, "inner")
    git(box_world, "init", "-q", cwd="inner")
    git(box_world, "add", ".", cwd="inner")
    git(box_world, "commit", "-qm", "inner", cwd="inner")
    box_world.write("repo/own", "own")
    git(box_world, "init", "-q")
    git(
        box_world,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(box_world.path("inner")),
        "sub",
    )
    git(box_world, "add", ".")
    git(box_world, "commit", "-qm", "with a submodule")
    box_world.write(
        "plot.wf",
        plot({"s": script("cat /src/sub/b", inputs={"/src": "pipe::src"})}, inputs={"src": "ingest:git:repo:HEAD"}),
    )
    assert "s | other" in box_world.run("run", "plot.wf").err
    git(box_world, "clone", "-q", "--no-recurse-submodules", str(box_world.path("repo")), "../alone")
    box_world.write("plot.wf", plot({"s": script("true")}, inputs={"src": "ingest:git:alone:HEAD"}))
    box_world.run("run", "plot.wf")  # the commit is known here already
    box_world.path(".warpforge").rename(box_world.path("old"))
    box_world.root_workspace()
    box_world.path("old/catalogs").rename(box_world.path(".warpforge/catalogs"))
    box_world.path("inner").rename(box_world.path("elsewhere"))
    failed = box_world.fail("run", "plot.wf")
    assert (failed.causes[0]["code"], failed.causes[0]["details"]["path"]) == ("warpforge-error-git", "sub")


@pytest.mark.both
def test_directory_ingests_leave_out_what_is_ignored(box_world: World) -> None:
    tree(box_world, "src")
    box_world.write("src/.wfignore", "*.o\n/build/\n!keep.o\n")
    for path in ("x.o", "keep.o", "build/y", "deep/build/z", ".git/config", "deep/.warpforge/root"):
        box_world.write(f"src/{path}", "x")
    box_world.write(
        "plot.wf",
        plot(
            {"s": script("cd /src; find . -type f | sort", inputs={"/src": "pipe::src"})},
            inputs={"src": "ingest:dir:src"},
        ),
    )
    seen = [line[4:] for line in box_world.run("run", "plot.wf").err.splitlines() if line.startswith("s | ")]
    assert seen == ["./.wfignore", "./a/file", "./b", "./deep/build/z", "./keep.o"]
    assert box_world.run("--json", "run", "plot.wf").one("finished")["hit"]
    box_world.write("src/b", "changed\n")
    assert not box_world.run("--json", "run", "plot.wf").one("finished")["hit"]


def test_other_ingests(box_world: World) -> None:
    tree(box_world)
    with tarfile.open(box_world.path("t.tar.xz"), "w:xz") as archive:
        archive.add(box_world.path("tree"), ".")
    inputs = {"t": "ingest:tar:t.tar.xz", "l": "ingest:literal:some: text"}
    box_world.write(
        "plot.wf", plot({"s": script("cat /t/b /l", inputs={"/t": "pipe::t", "/l": "pipe::l"})}, inputs=inputs)
    )
    said = box_world.run("run", "plot.wf").err
    assert "s | other\n" in said
    assert "s | some: text\n" in said


def test_paths_are_relative_to_the_plot(box_world: World) -> None:
    box_world.write("deep/er/data/x", "found me\n")
    box_world.write(
        "deep/er/plot.wf",
        plot(
            {"s": script("cat /m/x /i/x", inputs={"/m": "mount:ro:data", "/i": "pipe::i"})},
            inputs={"i": "ingest:dir:data"},
        ),
    )
    assert box_world.run("run", "deep/er/plot.wf").err.count("found me") == 2
    assert box_world.run("run", "-f", "plot.wf", cwd="deep/er").err.count("found me") == 2


def test_a_candidate_of_an_earlier_module_of_the_same_run(box_world: World) -> None:
    box_world.write("a/module.wf", {"module.v1": {"name": "example.org/a"}})
    box_world.write("a/plot.wf", plot({"s": script("echo built > /o", outputs={"o": "/o"})}, {"item": "pipe:s:o"}))
    box_world.write("b/module.wf", {"module.v1": {"name": "example.org/b"}})
    box_world.write(
        "b/plot.wf",
        plot({"s": script("cat /i", inputs={"/i": "pipe::i"})}, inputs={"i": "candidate:example.org/a:next:item"}),
    )
    assert "s | built" in box_world.run("run", "./...").err


def test_check_tells_everything_and_fmt_keeps_the_id(world: World) -> None:
    world.write("bad.wf", {"plot.v1": {"inputs": {"x": 7}, "steps": {"s": {}}, "outputs": {"o": "pipe:nope:x"}}})
    failed = world.fail("check", "bad.wf")
    found = [finding["path"] for finding in failed.all("finding")]
    assert {"/plot.v1/inputs/x", "/plot.v1/steps/s"} <= set(found)
    assert failed.exit == 2
    world.write("torn.wf", "{")
    both = world.fail("check", "bad.wf", "torn.wf")
    assert {finding["document"] for finding in both.all("finding")} == {"bad.wf", "torn.wf"}
    assert len(both.err.splitlines()) == 1
    world.write("loose.wf", '{"plot.v1": {"inputs": {}, "steps": {}, "outputs": {},}}')
    before = world.run("id", "loose.wf").out
    assert world.call("fmt", "--check", "loose.wf").exit == 2
    world.run("fmt", "loose.wf")
    assert (
        world.path("loose.wf").read_text()
        == '{\n\t"plot.v1": {\n\t\t"inputs": {},\n\t\t"steps": {},\n\t\t"outputs": {}\n\t}\n}\n'
    )
    assert world.run("id", "loose.wf").out == before
    world.run("fmt", "--check", "loose.wf")
    assert world.run("fmt", "-", stdin='{"module.v1":{"name":"a.org"}}').out.startswith('{\n\t"module.v1"')
    assert world.run("check", "--verbose", "loose.wf").out == world.path("loose.wf").read_text()


@pytest.mark.both
def test_quickstart_runs(box_world: World) -> None:
    box_world.path("new").mkdir()
    box_world.run("quickstart", "example.org/new", cwd="new")
    ran = box_world.run("run", cwd="new")
    assert ran.out.startswith("output\tztar:")
    assert "hello-world | hello world" in ran.err
    assert "found" in box_world.run("status", cwd="new").out
    assert box_world.run("info", cwd="new").out == box_world.run("status", cwd="new").out
