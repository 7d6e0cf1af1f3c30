"""``run --offline``: no socket is opened, and all that is not on this machine is told at once."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from support.faults import needs_strace
from support.plots import plot, script
from support.world import WARPFORGE, World

from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId

pytestmark = pytest.mark.both

ONE = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
TWO = WareId.parse("ztar:DirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")


@pytest.fixture
def lacking(box_world: World) -> World:
    """A plot that runs two steps before it needs two wares that are elsewhere."""
    catalog = Catalog(box_world.path(".warpforge/catalogs/test"))
    where = WarehouseAddr.parse("ca+https://user:word@wares.example.org")
    add_item(catalog, CatalogRef.parse("a.org/one:v1:x"), ONE, address=where)
    steps = {
        "a": script("mkdir /out", "echo a > /out/a", outputs={"o": "/out"}),
        "b": script("true", inputs={"/one": "catalog:a.org/one:v1:x"}),
        "c": script("true", inputs={"/a": "pipe:a:o", "/two": f"ware:{TWO}"}),
    }
    box_world.write("plot.wf", plot(steps))
    return box_world


def test_all_that_is_missing_is_told_before_anything_runs(lacking: World) -> None:
    failed = lacking.fail("run", "--offline", "plot.wf")
    assert failed.exit == 4 and failed.error["details"]["reason"] == "offline"
    said = failed.error["message"]
    assert f"{ONE} (catalog:a.org/one:v1:x), size unknown: could be had from ca+https://wares.example.org" in said
    assert f"{TWO}, size unknown, perhaps needed: nobody here knows" in said
    assert "word" not in said
    assert not failed.all("started") and not lacking.run("log").out


def test_no_socket_is_opened(lacking: World) -> None:
    needs_strace()
    trace = lacking.path("trace")
    lacking.write("fine.wf", plot({"a": script("true"), "b": script("echo fine")}))
    for target, status in (("fine.wf", 0), ("plot.wf", 4)):
        done = subprocess.run(
            ["strace", "-f", "-qq", "-e", "trace=socket,connect", "-o", trace, WARPFORGE, "run", "--offline", target],
            cwd=lacking.root,
            env=lacking.environment(),
            capture_output=True,
        )
        assert done.returncode == status
        assert not [line for line in trace.read_text().splitlines() if "AF_INET" in line or "connect(" in line]


def test_mirrors_of_this_machine_are_asked_and_the_network_is_refused(box_world: World) -> None:
    box_world.write("tree/file", "x")
    ware = box_world.run("ware", "pack", "--to", f"ca+file://{box_world.path('mirror')}", "tree").out.strip()
    packtype, _, hash_ = ware.partition(":")
    box_world.path(f".warpforge/warehouse/{packtype}/{hash_[:3]}/{hash_[3:6]}/{hash_}").unlink()
    box_world.write("plot.wf", plot({"a": script("cat /x/file", inputs={"/x": f"ware:{ware}"})}))
    box_world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [f"ca+file://{box_world.path('mirror')}"]})
    box_world.run("run", "--offline", "plot.wf")
    box_world.write("net.wf", plot({"a": script("true", network=True)}))
    failed = box_world.fail("run", "--offline", "net.wf")
    assert failed.code == "fetch" and failed.exit == 4


def test_what_replays_would_need_is_told_at_once(box_world: World) -> None:
    """With -r the wares at the bottom, that nobody here can make; without, what is missing itself, and how large."""
    box_world.write("lib/source/file", "x" * 5000)
    make = script("cp -r /source /out", "echo 2 > /out/more", inputs={"/source": "pipe::source"}, outputs={"o": "/out"})
    box_world.write("lib/module.wf", {"module.v1": {"name": "a.org/lib"}})
    box_world.write("lib/plot.wf", plot({"m": make}, {"lib": "pipe:m:o"}, {"source": "ingest:dir:source"}))
    box_world.run("catalog", "-n", "test", "release", "--freeze", "--sizes", "v1", "lib")
    release = box_world.run("--json", "catalog", "show", "a.org/lib:v1").one("release")
    lib = release["items"]["lib"]
    (size,) = (text for key, text in release["metadata"].items() if key == "size.lib")
    held = box_world.path(".warpforge/warehouse/ztar")
    (packed,) = held.rglob(lib.partition(":")[2])
    assert packed.stat().st_size == int(size)
    (source,) = {path for path in held.rglob("?" * 44) if path.stat().st_size < 10_000} - {packed}
    bytes_of_source = source.stat().st_size
    packed.unlink()
    source.unlink()
    shutil.rmtree(box_world.path(".warpforge/cache"))
    shutil.rmtree(box_world.path(".warpforge/memos"))
    box_world.write("user.wf", plot({"use": script("true", inputs={"/x": "catalog:a.org/lib:v1:lib"})}))
    said = box_world.fail("run", "--offline", "user.wf").error["message"]
    assert f"{lib} (catalog:a.org/lib:v1:lib), {size} bytes: could be had from its replay" in said
    failed = box_world.fail("run", "-r", "--offline", "user.wf")
    assert failed.exit == 4 and not failed.all("started")
    assert (
        f"ztar:{source.name}, {bytes_of_source} bytes, for the replay of a.org/lib:v1: nobody here knows"
        in failed.error["message"]
    )
    failed = box_world.fail("replay", "--offline", "a.org/lib")
    assert failed.one("verdict")["code"] == "warpforge-error-fetch" and source.name in failed.one("verdict")["why"][0]


def test_how_large_a_ware_was_is_known_when_it_is_gone(world: World) -> None:
    """After its collection and a new index, and, without any index, in a workspace that was bundled."""
    world.root_workspace()
    world.write("tree/file", os.urandom(5000))
    ware = world.run("ware", "pack", "tree").out.strip()
    (held,) = (path for path in world.path(".warpforge/warehouse/ztar").rglob("*") if path.is_file())
    size = held.stat().st_size
    use = {"use": {"protoformula": {"inputs": {"/x": "catalog:a.org/x:v1:x"}, "action": {"noop": {}}, "outputs": {}}}}
    world.write("near/plot.wf", {"plot.v1": {"inputs": {}, "steps": use, "outputs": {}}})
    world.path("near/.warpforge").mkdir()
    world.run("store", "gc", "--dry-run")
    world.run("catalog", "add", "tar", "-t", "ztar", "a.org/x:v1:x", held)
    world.run("catalog", "bundle", "near")
    catalogs = [world.path(".warpforge/catalogs"), world.path("near/.warpforge/catalog")]
    for number, catalog in enumerate(catalogs):  # nothing names the ware, so it goes
        catalog.rename(world.root / f"aside{number}")
    world.run("store", "gc")
    assert not held.exists()
    world.run("store", "reindex")
    for number, catalog in enumerate(catalogs):
        (world.root / f"aside{number}").rename(catalog)
    carried = world.path("near/.warpforge/sizes.json")
    for left in (carried, world.path(".warpforge/index.lmdb")):
        kept = carried.read_bytes()
        shutil.rmtree(left) if left.is_dir() else left.unlink()
        said = world.fail("run", "--offline", "near").error["message"]
        assert f"{ware} (catalog:a.org/x:v1:x), {size} bytes: " in said
        assert f"not on this machine ({size} bytes):" in said
        carried.write_bytes(kept)
