"""``run --offline``: no socket is opened, and all that is not on this machine is told at once."""

from __future__ import annotations

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
    assert f"{ONE} (catalog:a.org/one:v1:x): could be had from ca+https://wares.example.org" in said
    assert f"{TWO}, perhaps needed: nobody here knows" in said
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
