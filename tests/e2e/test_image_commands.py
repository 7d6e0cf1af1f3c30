"""Images through the command line, with the tools of others at the far ends."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import umoci
from support.forge import member, tar
from support.hostile_http import Hostile, body
from support.images import Image, archive, dump, layout, saved, tar_files, write_files
from support.registry import basic, blob_path, docker_registry, guard, host_of, offer, token_path
from support.world import World


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout by umoci, whose image is v1."""
    umoci.need_tools()
    return umoci.make_layout(tmp_path_factory.mktemp("umoci"))


@pytest.fixture(scope="module")
def registry(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that has it as some/image:v1."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        umoci.push(f"{made}:v1", host, "some/image:v1")
        yield host


@pytest.fixture
def here(world: World) -> World:
    world.root_workspace()
    return world


def id_of(layout: Path) -> str:
    return "oci:" + hashlib.sha256(umoci.raw_manifest(f"oci:{layout}:v1")).hexdigest()


def small(text: str = "x") -> Image:
    return Image(tar(member(b"file", text.encode())), Cmd=["/file"], Env=["A=1"])


@pytest.mark.both
def test_an_image_comes_back_as_the_same_tree(here: World, made: Path, tmp_path: Path) -> None:
    ware = here.run("ware", "pack", "-t", "oci", f"{made}:v1").out.strip()
    assert ware == id_of(made)
    assert here.run("ware", "scan", "-t", "oci", f"oci:{made}:v1").out.strip() == ware
    given = here.run("ware", "export", "--as", "oci", "--tag", "v2", ware, "out").out.strip()
    before = umoci.listed(umoci.unpack(f"{made}:v1", tmp_path / "before"))
    after = umoci.listed(umoci.unpack(f"{here.path('out')}:v2", tmp_path / "after"))
    assert before == after
    assert {path for path, *_ in after if not path.startswith("bin")} == {
        *("etc", "etc/kept", "etc/linked", "etc/more", "etc/more/new", "opt", "opt/only")
    }
    assert given == "oci:" + hashlib.sha256(umoci.raw_manifest(f"oci:{here.path('out')}:v2")).hexdigest()
    config = umoci.config_of(f"{here.path('out')}:v2")
    assert config["config"] == {"Env": ["LANG=C"], "Cmd": ["/bin/sh"], "WorkingDir": "/opt"}
    assert config["architecture"] == umoci.config_of(f"{made}:v1")["architecture"]


def test_export_gives_the_same_bytes_every_time(here: World, made: Path) -> None:
    ware = here.run("ware", "pack", "-t", "oci", f"{made}:v1").out.strip()
    options = ("--entrypoint", "/bin/sh -c", "--cmd", '["echo hi"]', "--env", "B=2", "--user", "7:8", "--label", "k=v")
    ids = {here.run("ware", "export", "--as", "oci", *options, ware, f"out{n}").out for n in (1, 2)}
    here.run("ware", "export", "--as", "oci", *options, ware, "out3.tar")
    assert len(ids) == 1
    files = [sorted(p.relative_to(here.path(f"out{n}")) for p in here.path(f"out{n}").rglob("*")) for n in (1, 2)]
    assert files[0] == files[1]
    start = umoci.config_of(f"{here.path('out1')}")["config"]
    assert start == {
        "Env": ["LANG=C", "B=2"],
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["echo hi"],
        "WorkingDir": "/opt",
        "User": "7:8",
        "Labels": {"k": "v"},
    }
    assert here.run("ware", "scan", "-t", "oci", "out3.tar").out in ids
    for transport in ("oci-archive", "docker-archive"):
        assert (
            json.loads(umoci.skopeo("inspect", "--config", f"{transport}:{here.path('out3.tar')}"))["config"] == start
        )
    for compress in ("none", "zstd"):
        here.run("ware", "export", "--as", "oci", "--compress", compress, ware, compress)
        here.run("ware", "pack", "-t", "oci", compress)


@pytest.mark.both
def test_from_a_registry_by_tag_and_by_digest(here: World, made: Path, registry: str) -> None:
    ware = id_of(made)
    assert here.run("ware", "fetch", f"{registry}/some/image:v1").out == f"{ware}  fetched  {registry}/some/image:v1\n"
    assert here.run("ware", "fetch", f"docker://{registry}/some/image:v1").out == f"{ware}  here\n"
    digest = ware.replace("oci:", "sha256:")
    assert here.run("ware", "fetch", f"{registry}/some/image@{digest}").out == f"{ware}  here\n"
    assert here.run("ware", "fetch", ware, f"{registry}/some/image:v1").out == f"{ware}  here\n"
    told = json.loads(here.run("ware", "image", ware).out)
    assert (told["ware"], told["config"]["Cmd"]) == (ware, ["/bin/sh"])
    assert "linux/" in told["platform"]
    assert here.fail("ware", "fetch", f"{registry}/some/image:v9").exit == 3
    assert here.fail("ware", "fetch", f"oci:{'0' * 64}", f"{registry}/some/image:v1").code == "ware-mismatch"
    assert here.fail("ware", "fetch", f"oci:{'0' * 64}", f"oci://{registry}/some/image").exit == 3


def test_the_id_of_an_archive_is_the_one_that_others_know(here: World, made: Path) -> None:
    file = here.path("saved.tar")
    umoci.skopeo("copy", "-q", f"oci:{made}:v1", f"docker-archive:{file}:some/image:v1")
    ware = "oci:" + hashlib.sha256(umoci.raw_manifest(f"docker-archive:{file}")).hexdigest()
    for name in (str(file), f"docker-archive:{file}:some/image:v1", "saved.tar"):
        assert here.run("ware", "pack", "-t", "oci", name).out.strip() == ware
    trees = [
        here.run("ware", "show", one).out
        for one in (ware, here.run("ware", "pack", "-t", "oci", f"{made}:v1").out.strip())
    ]
    assert trees[0] == trees[1]


def test_a_mirror_gives_the_images_that_a_catalog_names(here: World, made: Path, registry: str, tmp_path: Path) -> None:
    here.run("catalog", "init", "c")
    here.run("catalog", "--name", "c", "add", "oci", "example.org/image:v1:amd64", f"{registry}/some/image:v1")
    shown = here.run("catalog", "show", "example.org/image:v1:amd64").out
    assert f"mirror oci://{registry}/some/image" in shown
    for path in sorted(here.path(".warpforge/warehouse").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert "fetched" in here.run("mirror", "pull", "example.org/image:v1:amd64").out
    assert "there" in here.run("mirror", "ls", "--check", "example.org/image:v1:amd64").out
    # where nothing but the id is known
    other = World(tmp_path / "other")
    other.root_workspace()
    other.write(".warpforge/config/mirrors.json", {"mirrors.v1": [f"oci://{registry}/some/image"]})
    other.run("ware", "unpack", "--path", "tree", id_of(made))
    assert other.path("tree/opt/only").read_text() == "only\n"


def test_wares_of_all_kinds_lie_in_a_registry_as_images(here: World, registry: str, tmp_path: Path) -> None:
    here.write("tree/a/file", "content\n")
    here.path("tree/link").symlink_to("a/file")
    address = f"oci://{registry}/wares"
    wares = [here.run("ware", "pack", "-t", packtype, "tree").out.strip() for packtype in ("ztar", "tar")]
    for ware in wares:
        assert "pushed" in here.run("mirror", "push", "--to", address, ware).out
        assert "there" in here.run("mirror", "push", "--to", address, ware).out
        copied = here.path(f"copy-{ware[:4]}")
        source = f"docker://{registry}/wares:{ware.replace(':', '-')}"
        umoci.skopeo("copy", "-q", "--src-tls-verify=false", source, f"dir:{copied}")
        assert len(list(copied.iterdir())) == 4
    other = World(tmp_path / "other")
    other.root_workspace()
    for ware in wares:
        assert "fetched" in other.run("mirror", "pull", "--from", address, ware).out
        assert other.run("ware", "cat", ware, "a/file").out == "content\n"
    pulled = Path(other.path("image"))
    umoci.skopeo(
        "copy",
        "-q",
        "--src-tls-verify=false",
        f"docker://{registry}/wares:{wares[1].replace(':', '-')}",
        f"oci:{pulled}:v1",
    )
    assert (umoci.unpack(f"{pulled}:v1", other.path("bundle")) / "a/file").read_text() == "content\n"
    oci = here.run("ware", "pack", "-t", "oci", str(write_files(layout([(small(), {})]), here.path("l")))).out.strip()
    assert here.fail("mirror", "push", "--to", address, oci).causes[-1]["details"]["reason"] == "policy"


def test_an_image_goes_to_another_registry_as_the_layers_that_it_has(here: World, registry: str, made: Path) -> None:
    ware = here.run("ware", "fetch", f"{registry}/some/image:v1").out.split()[0]
    assert "pushed" in here.run("ware", "push", ware, f"oci://{registry}/copy:v2").out
    assert "there" in here.run("ware", "push", ware, f"oci://{registry}/copy").out
    raw = umoci.skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{registry}/copy:v2")
    assert hashlib.sha256(raw.encode()).hexdigest() == ware.removeprefix("oci:")
    umoci.skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{registry}/copy:v2", f"dir:{here.path('copied')}")


@pytest.mark.both
def test_an_image_runs_and_is_remembered(needs_box: None, here: World, made: Path, registry: str) -> None:
    script = "cat /etc/more/new; test ! -e /etc/gone && test ! -e /opt/a && mkdir /out && cp /opt/only /out/"
    formula = {
        "inputs": {"/": f"ware:{id_of(made)}"},
        "action": {"exec": {"command": ["/bin/sh", "-c", script]}},
        "outputs": {"out": {"from": "/out", "packtype": "ztar"}},
    }
    context = {"warehouses": {id_of(made): f"oci://{registry}/some/image"}}
    here.write("f.wf", {"formula": {"formula.v1": formula}, "context": {"context.v1": context}})
    first = here.run("run", "f.wf")
    assert "new" in first.err
    again = here.run("run", "f.wf")
    assert "memo" in again.err
    assert first.out == again.out
    plot = {
        "inputs": {"root": f"ingest:oci:{registry}/some/image:v1", "more": f"ingest:oci:oci:{made}:v1"},
        "steps": {
            "one": {
                "protoformula": {
                    "inputs": {"/": "pipe::root", "/more": "pipe::more"},
                    "action": {"exec": {"command": ["/bin/sh", "-c", "mkdir /out; cp /more/opt/only /out/"]}},
                    "outputs": {"out": {"from": "/out", "packtype": "ztar"}},
                }
            }
        },
        "outputs": {"out": "pipe:one:out"},
    }
    here.write("plot.wf", {"plot.v1": plot})
    assert here.run("run", "plot.wf").out == first.out
    assert "memo" in here.run("run", "plot.wf").err


def test_export_as_a_tar(here: World) -> None:
    here.write("tree/a/file", "content\n").chmod(0o755)
    here.path("tree/link").symlink_to("a/file")
    ware = here.run("ware", "pack", "tree").out.strip()
    for name in ("x.tar", "x.tar.gz", "x.tar.zst", "x.tar.xz", "x.tbz2"):
        here.run("ware", "export", "--as", "tar", ware, name)
        names = subprocess.run(["tar", "-tf", here.path(name)], capture_output=True, text=True, check=True).stdout
        assert names.split() == ["./", "a/", "a/file", "link"], name
        assert here.run("ware", "scan", "-t", "ztar", name).out.strip() == ware
    piped = here.run("ware", "export", "--as", "tar", "--compress", "none", ware, "-").out.encode()
    assert piped == here.path("x.tar").read_bytes()
    here.run("ware", "export", "--as", "tar", "--filters", "uid=7,mtime=@9", ware, "y.tar")
    shown = subprocess.run(["tar", "-tvf", here.path("y.tar"), "--numeric-owner"], capture_output=True, text=True)
    assert all(" 7/0 " in line for line in shown.stdout.splitlines())
    foreign = here.write("foreign.tar", tar(member(b"z", b"1"), member(b"./b/a", b"2", mode=0o1755, uid=5)))
    here.run("catalog", "init", "c")
    here.run("catalog", "--name", "c", "add", "tar", "x.org/x:v1:x", foreign)
    here.run("ware", "export", "--as", "tar", "x.org/x:v1:x", "z.tar")
    names = subprocess.run(["tar", "-tvf", here.path("z.tar")], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in names.splitlines()] == ["./", "b/", "b/a", "z"]
    assert "-rwxr-xr-t" in names


@pytest.mark.both
def test_export_as_a_directory(here: World) -> None:
    here.write("tree/a/file", "content\n").chmod(0o755)
    ware = here.run("ware", "pack", "tree").out.strip()
    here.run("ware", "export", "--as", "dir", ware, "out")
    status = here.path("out/a/file").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (os.getuid(), os.getgid(), 0o755)
    assert here.run("ware", "pack", "out").out.strip() == ware


@pytest.mark.both
@pytest.mark.parametrize("form", ["oci", "tar", "dir"])
def test_export_touches_nothing_that_is_there(here: World, form: str) -> None:
    here.write("tree/file", "x")
    ware = here.run("ware", "pack", "tree").out.strip()
    here.write("there", "mine")
    here.path("empty").mkdir()
    here.path("dangling").symlink_to("nowhere")
    before = sorted(os.listdir(here.root))
    for name in ("there", "empty", "dangling"):
        assert here.fail("ware", "export", "--as", form, ware, name).code == "already-exists"
    assert here.fail("ware", "export", "--as", form, ware, "no/such/place" if form != "dir" else "there/x").exit == 4
    assert here.fail("ware", "export", "--as", form, f"ztar:{'1' * 43}", "new").exit == 3
    assert sorted(os.listdir(here.root)) == before


def test_export_says_what_it_does_not_do(here: World) -> None:
    here.write("file", "x")
    lone = here.run("ware", "pack", "file").out.strip()
    assert here.fail("ware", "export", "--as", "oci", lone, "out").code == "ware-invalid"
    here.run("ware", "export", "--as", "tar", lone, "lone.tar")
    for wrong in (
        ("--as", "tar", "--cmd", "x"),
        ("--as", "dir", "--compress", "gzip"),
        ("--as", "tar", "--compress", "rar"),
        ("--as", "oci", "--compress", "xz"),
        ("--as", "oci", "--env", "x"),
        ("--as", "oci", "--workdir", "x"),
        ("--as", "oci", "--cmd", "[1]"),
        ("--as", "oci", "--platform", "a/b/c/d"),
        ("--as", "zip"),
    ):
        assert here.fail("ware", "export", *wrong, lone, "new").code == "invalid-argument", wrong
    assert here.fail("ware", "export", "--as", "dir", lone, "-").code == "invalid-argument"


def test_an_archive_that_changed_is_another_image(here: World) -> None:
    files = [tar_files(layout([(small(text), {})])) for text in ("one", "two")]
    long_ago = 10**18
    found = []
    for data in (files[0], files[0], files[1]):
        here.write("image.tar", data)
        os.utime(here.path("image.tar"), ns=(long_ago, long_ago))
        found += [here.run("ware", "pack", "-t", "oci", "image.tar").out.strip() for _ in range(2)]
    assert found == [f"oci:{small(text).id}" for text in ("one", "one", "one", "one", "two", "two")]


def test_which_image_of_several(here: World) -> None:
    arm = small("arm")
    arm.about["architecture"] = "arm64"
    both = [
        (small(), {"platform": {"os": "linux", "architecture": "amd64"}}),
        (arm, {"platform": {"os": "linux", "architecture": "arm64"}}),
    ]
    write_files(layout(both), here.path("both"))
    found = [
        here.run("ware", "pack", "-t", "oci", "--platform", one, "both").out.strip() for one in ("amd64", "linux/arm64")
    ]
    assert found == [f"oci:{image.id}" for image, _ in both]
    assert here.run("ware", "pack", "-t", "oci", "both?platform=linux/arm64").out.strip() == found[1]
    refused = here.fail("ware", "pack", "-t", "oci", "--platform", "linux/riscv64", "both")
    assert refused.exit == 3
    assert "linux/amd64, linux/arm64" in refused.error["message"]


def test_an_archive_of_an_image_comes_from_a_mirror_of_files(here: World, tmp_path: Path) -> None:
    image = small()
    file = here.write("image.tar", tar_files(layout([(image, {})])))
    assert "fetched" in here.run("ware", "fetch", f"oci:{image.id}", f"file://{file}").out
    other = World(tmp_path / "other")
    other.root_workspace()
    with Hostile() as server:
        url = server.on("/image.tar", body(file.read_bytes(), 'ETag: "1"'))
        assert "fetched" in other.run("ware", "fetch", f"oci:{image.id}", url).out
        server.on("/image.tar", body(archive(tar(member(b"evil")))))
        assert other.fail("ware", "fetch", f"oci:{'1' * 64}", url).causes[-1]["code"] != "warpforge-error-internal"
    assert other.run("ware", "cat", f"oci:{image.id}", "file").out == "x"


def stored(world: World) -> list[str]:
    """Whatever of a ware stands under a final name."""
    kinds = ("warehouse", "duals", "images", "cache")
    return [str(p) for kind in kinds for p in world.path(f".warpforge/{kind}").rglob("*") if p.is_file()]


@pytest.mark.both
def test_a_registry_that_lies_leaves_nothing(here: World) -> None:
    image = small()
    layer = image.blobs[image.layers[0]["digest"]]
    with Hostile() as server:
        name = f"{host_of(server)}/x/y"
        offer(server, image, "x/y", "v1")
        for lie in (layer[:-1] + b"?", layer + b"?", Image(tar(member(b"../evil"))).blobs.popitem()[1], b""):
            server.on(blob_path(image, "x/y"), body(lie))
            for what in (("ware", "fetch", f"{name}:v1"), ("ware", "fetch", f"oci:{image.id}", f"oci://{name}")):
                refused = here.fail(*what)
                assert refused.code in ("ware-mismatch", "fetch"), str(refused)
                assert image.layers[0]["digest"] in refused.error["message"]
                assert stored(here) == []
        server.on(blob_path(image, "x/y"), body(layer))
        assert here.run("ware", "fetch", f"{name}:v1").out.startswith(f"oci:{image.id}")
    assert len(stored(here)) == 3


def test_a_login_is_read_from_where_docker_keeps_it(here: World) -> None:
    image = small()
    with Hostile() as server:
        offer(server, image, "x/y", "v1")
        scope = "repository:x/y:pull"
        guard(server, f'Bearer realm="{server.url}/token",service="s",scope="{scope}"', "Bearer t0ken")
        server.on(token_path(scope, "s"), body(dump({"token": "t0ken"})))
        guard(server, 'Basic realm="x"', f"Basic {basic('me', 'secret')}", "/token")
        name = f"{host_of(server)}/x/y:v1"
        refused = here.fail("ware", "fetch", name)
        assert (refused.exit, refused.code) == (4, "fetch")
        auths = {"auths": {host_of(server): {"auth": basic("me", "secret")}}}
        (here.home / ".docker").mkdir()
        (here.home / ".docker/config.json").write_bytes(dump(auths))
        assert here.run("ware", "fetch", name).out.startswith(f"oci:{image.id}")
        here.write("elsewhere/config.json", auths)
        (here.home / ".docker/config.json").unlink()
        assert here.run("ware", "fetch", name, env={"DOCKER_CONFIG": str(here.path("elsewhere"))}).exit == 0
        (here.home / ".docker/config.json").write_text("{")
        assert "config.json" in here.fail("ware", "fetch", name).error["message"]


def test_what_an_image_says_is_known_to_be_right(here: World) -> None:
    image = small()
    write_files(layout([(image, {})]), here.path("l"))
    ware = here.run("ware", "pack", "-t", "oci", "l").out.strip()
    (kept,) = [p for p in here.path(".warpforge/images").rglob("*") if p.is_file()]
    kept.chmod(0o644)
    kept.write_text(kept.read_text().replace("/file", "/evil"))
    assert here.fail("ware", "image", ware).exit == 3
    here.run("ware", "pack", "-t", "oci", "l")
    assert json.loads(here.run("ware", "image", ware).out)["config"] == {"Cmd": ["/file"], "Env": ["A=1"]}
    assert here.run("store", "verify", "--deep").exit == 0


def test_a_second_tree_under_one_id_is_refused(here: World) -> None:
    """Forged where nothing but the dual id can tell: the packed ware itself was replaced."""
    write_files(layout([(small(), {})]), here.path("l"))
    ware = here.run("ware", "pack", "-t", "oci", "l").out.strip()
    here.write("tree/file", "evil")
    evil = here.run("ware", "pack", "tree").out.strip()
    stores = {p.name: p for p in here.path(".warpforge/warehouse").rglob("*") if p.is_file()}
    target = stores[ware[4:]]
    target.chmod(0o644)
    target.write_bytes(stores[evil[5:]].read_bytes())
    refused = here.fail("ware", "unpack", "--path", "out", ware)
    assert refused.code == "ware-mismatch"
    assert not here.path("out").exists()


def test_names_that_name_nothing(here: World) -> None:
    assert here.fail("ware", "pack", "-t", "oci", "./nothing").exit == 3
    assert here.fail("ware", "pack", "-t", "oci", "oci-archive:nothing.tar").exit == 3
    assert here.fail("ware", "pack", "-t", "oci", "Not/A:name!").code == "invalid-argument"
    here.write("tree/file", "x")
    assert here.fail("ware", "pack", "-t", "oci", "tree").code == "ware-invalid"
    here.write("file", "x")
    corrupt = here.fail("ware", "pack", "-t", "oci", "file")
    assert corrupt.code == "ware-corrupt" and str(here.path("file")) in corrupt.error["message"]
    here.write("plain.tar", tar(member(b"x")))
    assert here.fail("ware", "scan", "-t", "oci", "plain.tar").code == "ware-invalid"
    image = small()
    here.write("saved.tar", tar_files(saved(image, (tar(member(b"file", b"x")),), "a/b:v1")))
    assert here.fail("ware", "pack", "-t", "oci", "docker-archive:saved.tar:a/b:v2").exit == 3
