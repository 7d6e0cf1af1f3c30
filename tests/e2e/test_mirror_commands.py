"""Mirrors through the command line: one workspace serves, another consumes; mirrors that lie; push and pull."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import hostile_http as hostile
from support.hostile_http import Hostile
from support.plots import plot, script
from support.serving import serving
from support.world import World

from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId


@pytest.fixture
def other(tmp_path: Path) -> World:
    """A second machine."""
    made = World(tmp_path / "other")
    made.root_workspace()
    return made


@pytest.fixture
def maker(world: World) -> World:
    """A machine with two wares, of each packtype one."""
    world.root_workspace()
    world.write("tree/hello", "hello\n")
    return world


def mirrors(world: World, *addresses: str) -> None:
    world.write(".warpforge/config/mirrors.json", json.dumps({"mirrors.v1": addresses}))


def packed(world: World, packtype: str = "ztar") -> str:
    return world.run("ware", "pack", "-t", packtype, "tree").out.strip()


def stored(world: World, ware: str) -> Path:
    packtype, _, hash_ = ware.partition(":")
    below = "" if packtype == "tar" else f"{packtype}/"
    return world.path(f".warpforge/warehouse/{below}{hash_[:3]}/{hash_[3:6]}/{hash_}")


def test_one_workspace_serves_another_runs(box_world: World, other: World) -> None:
    other.write(
        "plot.wf", plot({"a": script("mkdir /out", "echo hi > /out/x", outputs={"o": "/out"})}, {"r": "pipe:a:o"})
    )
    other.adopt(box_world.path(".warpforge/catalogs").parent.parent)
    for leftover in ("warehouse", "cache", "index.lmdb"):
        subprocess.run(["rm", "-rf", other.path(f".warpforge/{leftover}")], check=True)
    catalog = other.path(".warpforge/catalogs/test")
    for file in catalog.rglob("_mirrors.json"):
        file.unlink()
    with serving(box_world) as address:
        mirrors(other, address)
        results = other.run("--json", "--quiet", "run", "plot.wf").all("plotresults")
    box_world.write("plot.wf", other.path("plot.wf").read_bytes())
    assert box_world.run("--json", "--quiet", "run", "plot.wf").all("plotresults") == results


def test_a_formula_names_its_mirror(box_world: World, busybox: object, other: World) -> None:
    ware = str(getattr(busybox, "ware"))
    with serving(box_world) as address:
        formula = {"inputs": {"/": f"ware:{ware}"}, "action": {"exec": {"command": ["/bin/true"]}}, "outputs": {}}
        context = {"context.v1": {"warehouses": {ware: address}}}
        other.write("f.wf", {"formula": {"formula.v1": formula}, "context": context})
        other.run("run", "f.wf")


def test_the_first_lies_and_the_second_is_right(maker: World, other: World) -> None:
    ware = packed(maker)
    path = "/" + ca_path(WareId.parse(ware))
    with Hostile() as bad, serving(maker) as good:
        bad.on(path, hostile.body(b"<html>please log in</html>", "Content-Type: text/html"))
        mirrors(other, f"ca+{bad.url}", good)
        result = other.run("ware", "unpack", "--path", "out", ware)
        assert bad.url in result.err
        assert other.path("out/hello").read_text() == "hello\n"
        assert list(other.path(".warpforge/tmp").iterdir()) == []
        assert bad.paths() == [path]


def test_nobody_is_right(maker: World, other: World) -> None:
    ware = packed(maker)
    path = "/" + ca_path(WareId.parse(ware))
    with Hostile() as bad:
        bad.on(path, hostile.body(stored(maker, ware).read_bytes()[:-20]))
        mirrors(other, f"ca+{bad.url}", f"ca+{bad.url.replace('http://', 'http://me:secret@')}/none", "ca+file:///none")
        result = other.fail("ware", "unpack", "--path", "out", ware)
    error = result.error
    assert (error["code"], error["details"]["reason"]) == ("warpforge-error-fetch", "all-failed")
    assert len(error["message"].splitlines()) == 4
    assert "secret" not in result.out + result.err
    assert not stored(other, ware).exists()
    assert not other.path("out").exists()


def test_nobody_has_it(other: World) -> None:
    mirrors(other, "ca+file:///none", "ca+file:///neither")
    result = other.fail("ware", "fetch", "ztar:C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko")
    assert (result.exit, result.error["details"]["reason"]) == (3, "not-found")


def test_push_pull_and_what_is_there_already(maker: World, other: World, tmp_path: Path) -> None:
    wares = sorted([packed(maker), packed(maker, "tar")])
    shelf = str(tmp_path / "shelf")
    moved = [line["outcome"] for line in maker.run("--json", "mirror", "push", "--to", shelf, *wares).all("moved")]
    assert moved == ["pushed", "pushed"]
    assert maker.run("--json", "ware", "push", wares[0], shelf).one("moved")["outcome"] == "there"
    first = {path: path.stat().st_ino for path in Path(shelf).rglob("*") if path.is_file()}
    maker.run("mirror", "push", "--to", shelf, *wares)
    assert first == {path: path.stat().st_ino for path in Path(shelf).rglob("*") if path.is_file()}

    pulled = other.run("--json", "mirror", "pull", "-j", "2", "--from", f"ca+file://{shelf}", *wares).all("moved")
    assert sorted(line["ware"] for line in pulled) == wares
    assert {line["outcome"] for line in pulled} == {"fetched"}
    assert other.run("--json", "ware", "fetch", wares[0]).one("moved")["outcome"] == "here"
    for ware in wares:
        other.run("ware", "unpack", "--path", f"out-{ware[:4]}", ware)


def test_a_tar_ware_leaves_as_gzip(maker: World, tmp_path: Path) -> None:
    ware = packed(maker, "tar")
    maker.run("ware", "push", ware, f"file://{tmp_path}/one.tgz")
    assert gzip.decompress((tmp_path / "one.tgz").read_bytes()).startswith(b"./\0")
    assert maker.run("ware", "scan", "-t", "tar", f"file://{tmp_path}/one.tgz").out.strip() == ware
    with serving(maker, "--gzip") as address:
        url = f"{address.removeprefix('ca+')}/{ca_path(WareId.parse(ware))}"
        assert maker.run("ware", "scan", "-t", "tar", url).out.strip() == ware


def test_a_damaged_ware_is_not_pushed(maker: World, tmp_path: Path) -> None:
    ware = packed(maker)
    path = stored(maker, ware)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-20])
    assert maker.fail("ware", "push", ware, str(tmp_path / "shelf")).code == "ware-corrupt"
    assert not (tmp_path / "shelf").exists()


def test_the_workspace_says_where_it_pushes(maker: World, other: World, tmp_path: Path) -> None:
    maker.run("catalog", "init", "mine")
    maker.run("ware", "pack", "--to", f"file://{tmp_path}/one.tar", "tree")
    maker.run("catalog", "--name", "mine", "add", "tar", "-t", "ztar", "example.org/m:v1:x", tmp_path / "one.tar")
    shelf = f"ca+file://{tmp_path}/shelf"
    config: dict[str, Any] = {shelf: {"pushConfig": {"file": {}}}, "ca+mock://x": {"pushConfig": {"mock": {}}}}
    maker.write(".warpforge/config/mirroring.json", json.dumps({"mirroring.v1": config}))
    (moved,) = maker.run("--json", "mirror", "push").all("moved")
    assert (moved["outcome"], moved["address"]) == ("pushed", shelf)
    rows = maker.run("--json", "mirror", "ls", "--check", "example.org/m:v1:x").all("mirror")
    assert {"ware": moved["ware"], "address": shelf, "outcome": "there"} in rows
    assert maker.fail("mirror", "push", "--to", "https://example.org/x", moved["ware"]).code == "fetch"
    assert other.fail("mirror", "push", moved["ware"]).code == "invalid-argument"


def test_several_failures_are_one_error(other: World, tmp_path: Path) -> None:
    wares = [f"ztar:C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9K{end}" for end in "abc"]
    result = other.fail("mirror", "pull", "--from", str(tmp_path / "empty"), *wares)
    assert result.exit == 3
    assert all(ware in result.error["message"] for ware in wares)
