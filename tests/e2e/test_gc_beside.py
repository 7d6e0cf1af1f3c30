"""Garbage is collected beside builds that run, and nothing that they need goes."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from support import hostile_http as hostile
from support.aftermath import check_sound
from support.plots import plot, script
from support.processes import wait_until
from support.world import WARPFORGE, World

from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId

GATE = "until [ -e /gate/open ]; do sleep 0.05; done"


def start(world: World, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(WARPFORGE), "--json", *args],
        cwd=world.root,
        env=world.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Build(NamedTuple):
    """A running plot, and the ware that its first step gave."""

    pid: int
    made: str


@contextmanager
def building(world: World) -> Iterator[Build]:
    """A plot whose second step waits for the gate, with the result of its first; let through at the end."""
    gate = world.path("gate")
    gate.mkdir()
    steps = {
        "one": script("mkdir /out", "echo one > /out/x", outputs={"o": "/out"}),
        "two": script(
            GATE, "cp -a /in /out", inputs={"/in": "pipe:one:o", "/gate": "mount:ro:./gate"}, outputs={"o": "/out"}
        ),
        "three": script("cat /in/x /more/x", inputs={"/in": "pipe:two:o", "/more": "pipe:one:o"}),
    }
    world.write("plot.wf", plot(steps, {"r": "pipe:two:o"}))
    running = start(world, "run", "plot.wf")
    try:
        assert running.stdout
        made = ""
        for line in running.stdout:
            said = json.loads(line)
            made = said.get("runrecord", {}).get("results", {}).get("o", made)
            if said.get("started", {}).get("step") == "two":
                break
        yield Build(running.pid, made.removeprefix("ware:"))
        (gate / "open").touch()
        out, err = running.communicate(timeout=100)
        assert running.returncode == 0, err
        (found,) = (json.loads(line)["plotresults"] for line in out.splitlines() if "plotresults" in line)
        world.run("ware", "unpack", "--path", "result", found["r"].removeprefix("ware:"))
        assert world.path("result/x").read_text() == "one\n"
    finally:
        running.kill()
        running.communicate()


def garbage(world: World, text: str = "garbage") -> str:
    world.write("trash/x", text)
    return world.run("ware", "pack", "trash").out.strip()


@pytest.mark.both
def test_a_collection_passes_while_an_action_runs(box_world: World) -> None:
    trash = garbage(box_world)
    with building(box_world) as build:
        # with --keep-for 0s no memo keeps anything, so the first step's result stays for one reason only
        args = ("store", "gc", "--keep-for", "0s", "--max-size", "1")
        assert box_world.run(*args, "--explain", build.made).out == "needed by a running process\n"
        assert box_world.run(*args, "--explain", trash).out.startswith("nothing keeps it")
        freed = box_world.run("--json", *args, "--wait", "60s").all("garbage")
        assert {row["name"] for row in freed if row["kind"] == "ware"} == {trash}
        assert os.path.exists(f"/proc/{build.pid}")
    assert box_world.call("ware", "ls", trash).exit == 3
    assert box_world.run("store", "verify", "--deep").exit == 0


@pytest.mark.both
def test_repair_waits_until_no_action_runs(box_world: World) -> None:
    with building(box_world) as build:
        error = box_world.fail("store", "repair", "--wait", "1s").error
        assert error["details"]["reason"] == "busy"
        assert error["details"]["pid"] == str(build.pid)
    box_world.run("store", "repair")


def test_who_waits_for_the_same_formula_does_not_keep_the_collector_out(box_world: World) -> None:
    with building(box_world):
        steps = {"a": script("sleep 1", "echo x", outputs={})}
        box_world.write("sleep.wf", plot(steps))
        two = [start(box_world, "run", "sleep.wf") for _ in range(2)]
        box_world.run("store", "gc", "--wait", "60s")
        for each in two:
            _, err = each.communicate(timeout=100)
            assert each.returncode == 0, err


def test_eight_builds_and_a_collector_that_never_rests(box_world: World) -> None:
    """X05 X06: plots in eight processes, half of them the same, beside collections that forget every memo."""
    builds = []
    for number in range(8):
        name = f"{number % 5}.wf"
        steps = {
            "a": script(f"mkdir /out; echo {number % 5} > /out/x", outputs={"o": "/out"}),
            "b": script(
                "sleep 0.3; cp -a /in /out; echo b >> /out/x", inputs={"/in": "pipe:a:o"}, outputs={"o": "/out"}
            ),
            "c": script(
                "grep -q b /in/x && cp -a /one /out",
                inputs={"/in": "pipe:b:o", "/one": "pipe:a:o"},
                outputs={"o": "/out"},
            ),
        }
        box_world.write(name, plot(steps, {"r": "pipe:c:o"}))
        builds.append(start(box_world, "run", name))
    collections = 0
    while any(build.poll() is None for build in builds):
        garbage(box_world, f"garbage {collections}")
        done = box_world.call("--json", "store", "gc", "--keep-for", "0s", "--max-size", "1", "--wait", "60s")
        collections += done.exit == 0
        assert done.exit == 0 or done.error["details"]["reason"] == "busy", str(done)
    for build in builds:
        _, err = build.communicate()
        assert build.returncode == 0, err
    assert collections
    check_sound(box_world)


def test_thirty_two_processes_run_one_formula_and_it_runs_once(box_world: World) -> None:
    """X02."""
    box_world.write("plot.wf", plot({"a": script("sleep 0.5; date > /o", outputs={"o": "/o"})}, {"r": "pipe:a:o"}))
    running = [start(box_world, "--quiet", "run", "plot.wf") for _ in range(32)]
    said = [each.communicate(timeout=100) for each in running]
    assert [each.returncode for each in running] == [0] * 32, said
    assert len({line for out, _ in said for line in out.splitlines() if "plotresults" in line}) == 1
    assert len(box_world.run("--json", "log").all("run")) == 1
    assert len(list(box_world.path(".warpforge/memos").iterdir())) == 1
    check_sound(box_world)


def test_collectors_and_a_repair_at_once(box_world: World) -> None:
    """X05: each waits for the others; what was damaged is mended or set aside, what was garbage is gone."""
    trash = garbage(box_world)
    kept = garbage(box_world, "kept")
    box_world.run("ware", "pin", kept)
    (stored,) = (path for path in box_world.path(".warpforge/warehouse").rglob(kept.partition(":")[2]))
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    commands = (("store", "gc"), ("store", "repair"), ("store", "gc", "--keep-for", "1d"))
    running = [start(box_world, *command, "--wait", "60s") for command in commands]
    for each in running:
        _, err = each.communicate(timeout=100)
        assert each.returncode in (0, 1), err  # 1: the damaged ware can be had from nowhere
    assert box_world.call("ware", "ls", trash).exit == 3
    assert [path.name for path in box_world.path(".warpforge/quarantine").iterdir()] != []
    box_world.run("ware", "unpin", kept)
    box_world.run("store", "repair")
    assert box_world.run("store", "verify", "--deep").exit == 0


@pytest.mark.both
def test_a_box_outlives_the_thread_that_made_the_first_one(box_world: World) -> None:
    """X11: every step runs in a thread of its own, and the kernel would kill with it what that thread started."""
    steps = {name: script(f"sleep 0.2; echo {name}") for name in ("a", "b", "c")}
    steps["d"] = script("mkdir /o", outputs={"o": "/o"})
    steps["e"] = script("sleep 0.5; ls /in", inputs={"/in": "pipe:d:o"})
    box_world.write("plot.wf", plot(steps))
    assert box_world.run("--json", "run", "-j", "1", "plot.wf").exit == 0


def test_why_each_kind_of_root_keeps_a_ware(box_world: World) -> None:
    """Catalogs, memos, pins and --keep-for; what runs is above, workspaces below and replays are elsewhere."""
    ref = "warpsys.org/busybox:v1.35.0:amd64-static"
    box_world.write("trash/x", "input")
    given = box_world.run("ware", "pack", "trash").out.strip()
    steps = {"a": script("cp -a /in /out; echo >> /out/x", inputs={"/in": f"ware:{given}"}, outputs={"o": "/out"})}
    box_world.write("plot.wf", plot(steps, {"r": "pipe:a:o"}))
    record = box_world.run("--json", "run", "plot.wf").one("runrecord")
    made = record["results"]["o"].removeprefix("ware:")
    other = garbage(box_world, "other")
    box_world.run("ware", "pin", other, "mine")
    young = garbage(box_world, "young")

    def why(what: str, *more: str) -> list[str]:
        found = box_world.run("--json", "store", "gc", "--explain", what, *more).one("explain")
        assert found["stays"] == bool(found["why"])
        return list(found["why"])

    assert ref in why(ref)[0] and "catalog" in why(ref)[0]
    assert why(given) == [f"input of formula {record['formulaID']}, which is memoised"]
    assert why(made) == [f"result of formula {record['formulaID']}, which is memoised"]
    assert why(other) == why("mine") == ["pinned as mine"]
    assert why(young) == []
    assert why(young, "--keep-for", "1h") == ["used within the time that --keep-for says"]
    assert box_world.fail("store", "gc", "--explain", "example.org/none:v1:x").code == "catalog-missing-entry"


def test_a_collection_passes_while_a_pull_takes_its_time(world: World) -> None:
    """Also one that waits for the same ware; both end as they would have."""
    world.root_workspace()
    world.write("tree/noise", os.urandom(3 << 20))
    ware = world.run("ware", "pack", "--to", f"file://{world.root}/one.ztar", "tree").out.strip()
    data = world.path("one.ztar").read_bytes()
    world.run("store", "gc")
    trash = garbage(world)
    go_on = threading.Event()

    def slow(call: hostile.Call) -> None:
        call.head("200 OK", f"Content-Length: {len(data)}", 'ETag: "v1"')
        call.send(data[: 2 << 20])
        go_on.wait(60)
        call.send(data[2 << 20 :])

    with hostile.Hostile() as server:
        server.on("/" + ca_path(WareId.parse(ware)), slow)
        pulls = [start(world, "mirror", "pull", "--from", f"ca+{server.url}", ware) for _ in range(2)]
        assert wait_until(
            lambda: any(path.stat().st_size == 2 << 20 for path in world.path(".warpforge").glob("partial/[!.]*"))
        )
        done = world.run("--json", "store", "gc", "--wait", "60s")
        assert [row["name"] for row in done.all("garbage")] == [trash]
        go_on.set()
        said = [pull.communicate(timeout=100) for pull in pulls]
        assert [pull.returncode for pull in pulls] == [0, 0], said
        assert sorted(json.loads(out.splitlines()[-1])["moved"]["outcome"] for out, _ in said) == ["fetched", "here"]
    check_sound(world, wares=1)
