"""A person's path from end to end: ingest, plot, run, release, mirror, consume elsewhere, replay, explain, attest.

All that is written on the way without asking for more is what the original's schema reads.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support import shipped
from support.plots import plot, script
from support.world import World

if TYPE_CHECKING:
    from conftest import Busybox  # there is more than one of this name

LIB, APP, MORE = "a.org/lib", "a.org/app", "a.org/more"


class Published(NamedTuple):
    """A publisher's world, all of it released and mirrored, and the mirror's address and directory."""

    world: World
    address: str
    directory: Path


class Quiet(SimpleHTTPRequestHandler):
    """A plain web server."""

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("www")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"ca+http://127.0.0.1:{server.server_port}/wares", directory / "wares"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def published(busybox: Busybox, web: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Published:
    world = World(tmp_path_factory.mktemp("publisher"))
    world.adopt(busybox.template)
    world.path("hello").mkdir()
    world.run("quickstart", "a.org/hello", cwd="hello")
    assert "hello world" in world.run("run", "hello").err
    world.write("lib/source/text", "from a directory\n")
    make = script("mkdir /out", "cp /source/text /out/lib", inputs={"/source": "pipe::source"}, outputs={"o": "/out"})
    module(world, "lib", LIB, plot({"make": make}, {"lib": "pipe:make:o"}, {"source": "ingest:dir:source"}))
    add = script("mkdir /out", "echo more > /out/more", outputs={"o": {"from": "/out", "packtype": "tar"}})
    module(world, "more", MORE, plot({"add": add}, {"more": "pipe:add:o"}))
    inputs = {"lib": f"catalog:{LIB}:v1:lib", "more": f"candidate:{MORE}:v1:more"}
    join = script(
        "mkdir /out",
        "cat /lib/lib /more/more > /out/app",
        inputs={"/lib": "pipe::lib", "/more": "pipe::more"},
        outputs={"o": "/out"},
    )
    module(world, "app", APP, plot({"join": join}, {"app": "pipe:join:o"}, inputs))
    world.run("catalog", "-n", "test", "release", "--freeze", "v1", "lib")
    world.run("run", "more")
    world.run("catalog", "-n", "test", "release", "v1", "app")
    address, directory = web
    config = {address: {"pushConfig": {"file": {"path": str(directory)}}}}
    world.write(".warpforge/config/mirroring.json", {"mirroring.v1": config})
    world.run("catalog", "-n", "test", "mirror", "--publish")
    return Published(world, address, directory)


def module(world: World, where: str, name: str, document: dict[str, object]) -> None:
    world.write(f"{where}/module.wf", {"module.v1": {"name": name}})
    world.write(f"{where}/plot.wf", document)


def test_who_has_the_catalog_has_all_of_it(published: Published, world: World) -> None:
    """From another workspace, with nothing but the catalog: what its mirrors give runs, replays, and is explained."""
    world.root_workspace()
    shutil.copytree(published.world.path(".warpforge/catalogs/test"), world.path(".warpforge/catalogs/test"))
    world.write("plot.wf", plot({"use": script("cat /app/app", inputs={"/app": f"catalog:{APP}:v1:app"})}))
    assert "from a directory\nuse | more" in world.run("run", "plot.wf").err
    said = world.run("--json", "replay", "--all").all("verdict")
    assert {one["ref"]: one["verdict"] for one in said} == dict.fromkeys(
        (f"{APP}:v1:app", f"{LIB}:v1:lib", f"{MORE}:v1:more"), "same"
    )
    found = {one["ware"]: one for one in world.run("--json", "explain", f"{APP}:v1:app").all("provenance")}
    app, *others = found.values()
    assert app["replays"][0]["ref"] == f"{APP}:v1:app" and published.address in app["mirrors"]
    names = {name for one in others for name in one["names"]}
    assert {f"{LIB}:v1:lib", f"{MORE}:v1:more"} <= names
    taken = world.run("--json", "attest", f"{APP}:v1").one("attestation")["document"]["predicate"]["buildDefinition"]
    assert [one["release"] for one in taken["internalParameters"]["builds"]] == [f"{APP}:v1", f"{LIB}:v1", f"{MORE}:v1"]


def test_all_that_is_written_is_what_the_shipped_schema_reads(published: Published, tmp_path: Path) -> None:
    world, other = published.world, World(tmp_path / "other")
    world.path("near/.warpforge").mkdir(parents=True)
    world.write("near/plot.wf", plot({"use": script("cat /lib/lib", inputs={"/lib": f"catalog:{LIB}:v1:lib"})}))
    world.run("catalog", "bundle", "-r", "near")
    world.run("catalog", "-n", "test", "add", "dir", "a.org/dir:v1:x", "near")
    world.run("capsule", "create", "-r", str(other.path("app.capsule")), "app")
    other.run("capsule", "open", "app.capsule")
    if find_spec("starlark"):
        world.write("made/plot.star", 'result = {"inputs": {"a": "literal:x"}, "steps": {}, "outputs": {}}\n')
        world.run("plan", "generate", "made")
    internals = [world.path(".warpforge"), world.path("near/.warpforge"), other.path("app/.warpforge")]
    found = [path for internal in internals for path in shipped.files(internal)]
    kinds = {path.parent.name if path.parent.name[0] in "_m" else path.name for path in found}
    assert {"_releases", "_replays", "memos", "_module.json", "_mirrors.json"} <= kinds
    found += [world.path("hello/plot.wf"), world.path("hello/module.wf"), *other.path("app").glob("*.wf")]
    found += world.root.glob("made/*.wf")
    wrong = [problem for path in found for problem in shipped.problems(str(path), path.read_bytes())]
    assert not wrong
    for line in world.run("--json", "run", "app").out.splitlines():
        (kind, value), *_ = json.loads(line).items()
        if kind in ("runrecord", "plotresults"):
            read = shipped.run_record if kind == "runrecord" else shipped.mapping(shipped.ware())
            assert not [*read(value, kind)]


def test_the_reader_is_strict(published: Published) -> None:
    """What it is there to find it finds."""
    text = published.world.path("app/plot.wf").read_bytes()
    assert any("candidate:" in problem for problem in shipped.problems("plot.wf", text))
    release = next(published.world.path(f".warpforge/catalogs/test/{APP}/_releases").iterdir())
    value = {**json.loads(release.read_bytes()), "more": 1}
    assert shipped.problems(str(release), json.dumps(value).encode())
