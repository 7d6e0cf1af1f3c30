"""Which mirrors are asked, in which order, with what, and what is kept of their secrets: the real command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest
from support import hostile_http as hostile
from support.hostile_http import Hostile
from support.plots import plot, script
from support.processes import wait_until
from support.world import WARPFORGE, World

from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


@pytest.fixture
def packed(world: World) -> tuple[str, bytes]:
    """A ware that the catalog ``mine`` names as example.org/m:v1:x, its bytes, and no copy of it here."""
    world.root_workspace()
    world.write("tree/hello", "hello\n")
    ware = world.run("ware", "pack", "--to", f"file://{world.root}/one.ztar", "tree").out.strip()
    world.run("catalog", "init", "mine")
    world.run("catalog", "--name", "mine", "add", "tar", "-t", "ztar", "example.org/m:v1:x", world.path("one.ztar"))
    data = world.path("one.ztar").read_bytes()
    forget(world)
    for path in world.path(".warpforge/catalogs").rglob("_mirrors.json"):
        path.unlink()
    return ware, data


def forget(world: World) -> None:
    subprocess.run(["rm", "-rf", world.path(".warpforge/warehouse"), world.path("one.ztar")], check=True)


def config(world: World, *addresses: str, where: str = ".") -> None:
    world.write(f"{where}/.warpforge/config/mirrors.json", json.dumps({"mirrors.v1": addresses}))


def catalog_mirrors(world: World, ware: str, by_ware: str, by_module: str) -> None:
    """``_mirrors.json`` of the module, with one address for the ware and one for the module."""
    mirrors = {"byWare": {ware: [by_ware]}, "byModule": {"example.org/m": {"ztar": [by_module]}}}
    (directory,) = {path.parent for path in world.path(".warpforge/catalogs").rglob("_module.json")}
    (directory / "_mirrors.json").write_text(json.dumps({"catalogmirrors.v1": mirrors}))


def test_the_catalog_and_then_workspaces(world: World, packed: tuple[str, bytes], server: Hostile) -> None:
    ware, data = packed
    path = ca_path(WareId.parse(ware))
    catalog_mirrors(world, ware, f"{server.url}/by-ware", f"ca+{server.url}/by-module")
    config(world, f"ca+{server.url}/root")
    (world.path("below/.warpforge")).mkdir(parents=True)
    config(world, f"ca+{server.url}/nearest", where="below")
    push = {
        f"ca+{server.url}/pushed": {"pushConfig": {"s3": {"endpoint": "e", "bucket": "b", "path": "p", "region": "r"}}}
    }
    world.write(".warpforge/config/mirroring.json", json.dumps({"mirroring.v1": push}))
    ls = [row["address"] for row in world.run("--json", "mirror", "ls", ware, cwd="below").all("mirror")]
    places = ["/by-ware", f"/by-module/{path}", f"/nearest/{path}", f"/root/{path}"]
    assert [address.rpartition("/")[2] for address in ls] == ["by-ware", "by-module", "nearest", "root", "pushed"]
    failed = world.call("--json", "ware", "fetch", ware, cwd="below")
    asked = [place for place in server.paths() if place == "/by-ware" or "ztar" in place]
    assert asked[: len(places)] == places
    assert failed.exit in (3, 4)
    lines = failed.error["message"].splitlines()[1:]
    assert len(lines) == 5 and all(server.url in line for line in lines), "one line of reason for each mirror"
    server.on(f"/root/{path}", hostile.body(data))
    world.run("ware", "fetch", ware, cwd="below")


def test_a_formula_asks_its_context_first(world: World, packed: tuple[str, bytes], server: Hostile) -> None:
    ware, data = packed
    config(world, f"ca+{server.url}/root")
    formula = {"inputs": {"/": f"ware:{ware}"}, "action": {"noop": {}}, "outputs": {}}
    context = {"context.v1": {"warehouses": {ware: f"{server.url}/context"}}}
    world.write("f.wf", {"formula": {"formula.v1": formula}, "context": context})
    server.on(f"/root/{ca_path(WareId.parse(ware))}", hostile.body(data))
    world.run("run", "f.wf")
    assert server.paths() == ["/context", f"/root/{ca_path(WareId.parse(ware))}"]


def test_one_that_gave_wrong_bytes_is_asked_last_from_then_on(world: World, server: Hostile) -> None:
    """N09 N10: a login page instead of a ware; nothing of it is kept, and the next ware comes from elsewhere."""
    world.root_workspace()
    shelf = world.path("shelf")
    wares = []
    for name in ("a", "b"):
        world.write(f"{name}/x", name)
        wares.append(world.run("ware", "pack", "--to", f"ca+file://{shelf}", name).out.strip())
    forget(world)
    server.otherwise = hostile.body(b"<html>please log in</html>", "Content-Type: text/html")
    config(world, f"ca+{server.url}", f"ca+file://{shelf}")
    done = world.run("--json", "mirror", "pull", "-j", "1", *wares)
    assert [row["address"] for row in done.all("moved")] == [f"ca+file://{shelf}"] * 2
    assert len(server.calls) == 1, "after its first lie it is not asked while another has the ware"
    assert sum(server.url in row["Msg"] for row in done.all("log")) == 1
    assert list(world.path(".warpforge/tmp").iterdir()) == []
    assert world.run("store", "verify", "--deep").exit == 0


def test_secrets_stay_with_their_mirror(world: World, packed: tuple[str, bytes], server: Hostile) -> None:
    """N14: no .netrc is read, no password is shown or stored, and none goes to another host."""
    ware, data = packed
    place = f"/{ca_path(WareId.parse(ware))}"
    with Hostile() as other:
        other.on(place, hostile.body(data))
        server.on(place, hostile.redirect(other.url + place))
        for name in (".netrc", "_netrc"):
            world.home.joinpath(name).write_text("default login netrc password netrc\n")
            world.home.joinpath(name).chmod(0o600)
        with_password = server.url.replace("http://", "http://me:s3cr3t-pass@")
        config(world, f"ca+{with_password}/none", f"ca+{with_password}")
        done = world.run("-v", "mirror", "pull", ware)
        failed = world.fail("ware", "fetch", "ztar:" + "x" * 44)
        assert "s3cr3t" not in done.out + done.err + failed.out + failed.err
        assert {call.headers.get("authorization") for call in server.calls} == {"Basic bWU6czNjcjN0LXBhc3M="}
        assert [call.headers.get("authorization") for call in other.calls] == [None]
    kept = [p for p in world.path(".warpforge").rglob("*") if p.is_file() and b"s3cr3t" in p.read_bytes()]
    assert [path.name for path in kept] == ["mirrors.json"]


def test_a_run_record_holds_no_address(box_world: World, server: Hostile) -> None:
    """N14: what a run writes down names wares, and not where they came from."""
    box_world.write("tree/hello", "hello\n")
    ware = box_world.run("ware", "pack", "tree").out.strip()
    stored = box_world.path(f".warpforge/warehouse/{ca_path(WareId.parse(ware))}")
    data = stored.read_bytes()
    stored.unlink()
    server.on(f"/{ca_path(WareId.parse(ware))}", hostile.body(data))
    config(box_world, f"ca+{server.url.replace('http://', 'http://me:s3cr3t-pass@')}")
    step = script("cat /in/hello", inputs={"/in": f"ware:{ware}"})
    box_world.write("plot.wf", plot({"a": step}))
    box_world.run("run", "plot.wf")
    for directory in ("memos", "runs", "duals"):
        for path in box_world.path(f".warpforge/{directory}").rglob("*"):
            assert not path.is_file() or b"s3cr3t" not in path.read_bytes(), path


# N12 N13: mirrors that are directories


def test_what_comes_from_a_directory_is_a_copy(world: World, packed: tuple[str, bytes]) -> None:
    """N12."""
    ware, data = packed
    shelf = world.path(f"shelf/{ca_path(WareId.parse(ware))}")
    shelf.parent.mkdir(parents=True)
    shelf.write_bytes(data)
    os.link(shelf, world.path("another-name"))
    world.run("mirror", "pull", "--from", world.path("shelf"), ware)
    stored = world.path(f".warpforge/warehouse/{ca_path(WareId.parse(ware))}")
    assert stored.stat().st_ino != shelf.stat().st_ino and stored.stat().st_nlink == 1
    shelf.write_bytes(b"changed under everybody")
    assert world.run("store", "verify", "--deep").exit == 0


def test_a_file_that_is_written_while_it_is_read_gives_nothing_wrong(world: World) -> None:
    """N12: its bytes are mixed: the hash says so, or it happened to be whole."""
    world.root_workspace()
    world.write("tree/noise", os.urandom(4 << 20))
    ware = world.run("ware", "pack", "--to", f"file://{world.root}/one.ztar", "tree").out.strip()
    forget_warehouse = ["rm", "-rf", *(str(world.path(f".warpforge/{name}")) for name in ("warehouse", "index.lmdb"))]
    subprocess.run(forget_warehouse, check=True)
    goal = world.path(f"shelf/{ca_path(WareId.parse(ware))}")
    goal.parent.mkdir(parents=True)
    data = world.path("one.ztar").read_bytes()
    over = threading.Event()

    def rewrite() -> None:
        while not over.is_set():
            with open(goal, "wb") as file:
                for at in range(0, len(data), 1 << 18):
                    file.write(data[at : at + (1 << 18)])

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(2):
            world.call("mirror", "pull", "--from", world.path("shelf"), ware)
            assert world.run("store", "verify", "--deep").exit == 0
            subprocess.run(forget_warehouse, check=True)
    finally:
        over.set()
        writer.join()


def test_a_push_that_is_killed_leaves_no_half_and_its_debris_goes(world: World, packed: tuple[str, bytes]) -> None:
    """N13."""
    world.write("large/noise", os.urandom(40 << 20))
    ware = world.run("ware", "pack", "large").out.strip()
    goal = world.path(f"shelf/{ca_path(WareId.parse(ware))}")
    pushing = subprocess.Popen(
        [str(WARPFORGE), "mirror", "push", "--to", world.path("shelf"), ware],
        cwd=world.root,
        env=world.environment(),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    assert wait_until(lambda: goal.parent.is_dir() and any(goal.parent.iterdir()))
    pushing.send_signal(signal.SIGKILL)
    pushing.wait()
    debris = [path for path in goal.parent.iterdir() if path != goal]
    stored = world.path(f".warpforge/warehouse/{ca_path(WareId.parse(ware))}")
    assert not goal.exists() or goal.stat().st_size == stored.stat().st_size
    for path in debris:
        os.utime(path, (0, 0))
    (goal.parent / ".push-unheld").write_bytes(b"x")
    os.utime(goal.parent / ".push-unheld", (0, 0))
    world.run("mirror", "push", "--force", "--to", world.path("shelf"), ware)
    assert list(goal.parent.iterdir()) == [goal]


def test_many_push_the_same_at_once(world: World, packed: tuple[str, bytes]) -> None:
    """N13."""
    ware = world.run("ware", "pack", "tree").out.strip()
    argv = [str(WARPFORGE), "mirror", "push", "--force", "--to", str(world.path("shelf")), ware]
    pushing = [subprocess.Popen(argv, cwd=world.root, env=world.environment()) for _ in range(6)]
    assert [each.wait() for each in pushing] == [0] * 6
    goal = world.path(f"shelf/{ca_path(WareId.parse(ware))}")
    assert [*goal.parent.iterdir()] == [goal]
    assert goal.read_bytes() == packed[1]
