"""``warpforge plan``: it says what a run then does, and does nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.faults import needs_strace
from support.plots import BUSYBOX, plot, script, step, subplot
from support.world import WARPFORGE, World

STEPS: dict[str, Any] = {
    "a": script("mkdir /out", "cat /src/x > /out/x", inputs={"/src": "ingest:dir:src"}, outputs={"o": "/out"}),
    "deep": subplot(
        {"rootfs": "pipe::rootfs", "in": "pipe:a:o"},
        {"b": script("mkdir /out", "cat /in/x > /out/y", inputs={"/in": "pipe::in"}, outputs={"o": "/out"})},
        {"out": {"basis": "pipe:b:o", "filters": {"uid": "7"}}},
    ),
    "c": script("cat /in/y", inputs={"/in": "pipe:deep:out"}),
    "alone": script("echo alone"),
}


def make(world: World, **changed: Any) -> None:
    world.write("plot.wf", plot({**STEPS, **changed}, {"r": "pipe:deep:out"}))
    world.write("src/x", "one\n")


def verdicts(world: World, *args: str) -> dict[str, str]:
    [plan] = world.run("--json", "plan", *args).all("plan")
    return {step["step"]: step["verdict"] for step in plan["steps"]}


def everything(world: World) -> dict[str, tuple[Any, ...]]:
    """Every file's identity and times; reading times aside, nothing of it may change."""
    found = {}
    for top, directories, files in os.walk(world.root):
        for name in (*directories, *files, "."):
            path = os.path.join(top, name)
            status = os.lstat(path)
            found[path] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


def test_what_is_planned_is_what_happens(box_world: World) -> None:
    make(box_world)
    assert verdicts(box_world) == {"a": "run", "alone": "run", "deep/b": "waits", "c": "waits"}
    box_world.run("run")
    assert set(verdicts(box_world).values()) == {"hit"}
    box_world.write("src/x", "two\n")
    assert verdicts(box_world) == {"a": "run", "alone": "hit", "deep/b": "waits", "c": "waits"}
    ran = box_world.run("--json", "run").all("finished")
    assert {line["step"] for line in ran if not line["hit"]} == {"a", "deep/b", "c"}
    assert set(verdicts(box_world, "--force").values()) == {"run", "waits"}


@pytest.mark.both
def test_nothing_is_executed_and_nothing_is_written(box_world: World) -> None:
    needs_strace()
    make(box_world)
    box_world.run("run")
    box_world.write("src/x", "two\n")
    old = 1_000_000_000
    for path in box_world.path(".warpforge").rglob("*"):
        if "stamp" in path.parts or "warehouse" in path.parts:
            os.utime(path, (old, old), follow_symlinks=False)  # as if last used long ago: using it would show
    before = everything(box_world)
    for args in (["plan"], ["plan", "--json"], ["plan", "--graph", "svg"], ["plan", "--force"]):
        trace = box_world.root.parent / "trace"
        done = subprocess.run(
            ["strace", "-f", "-qq", "-e", "trace=execve", "-o", trace, str(WARPFORGE), *args],
            cwd=box_world.root,
            env=box_world.environment(),
            capture_output=True,
            check=True,
        )
        assert done.stdout
        assert trace.read_text().count("execve(") == 1
    assert everything(box_world) == before


def test_a_store_that_is_not_there_yet_is_not_made(world: World) -> None:
    world.write("f.json", {"formula": {"formula.v1": {"inputs": {}, "action": {"echo": {}}, "outputs": {}}}})
    [plan] = world.run("--json", "plan", "f.json").all("plan")
    assert [step["verdict"] for step in plan["steps"]] == ["run"]
    assert os.listdir(world.home) == []


def test_what_must_be_fetched_is_told_with_its_size(box_world: World, tmp_path: Path) -> None:
    make(box_world)
    mirror = tmp_path / "mirror"
    shutil.move(box_world.path(".warpforge/warehouse"), mirror)
    shutil.rmtree(box_world.path(".warpforge/cache"), ignore_errors=True)
    box_world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [f"ca+file://{mirror}"]})
    [plan] = box_world.run("--json", "plan").all("plan")
    [packed] = [path for path in mirror.rglob("*") if path.is_file()]
    assert plan["bytes"] == packed.stat().st_size
    assert {s["step"]: s["verdict"] for s in plan["steps"]}["alone"] == "fetch"
    [ware] = [ware for ware in plan["wares"] if ware["state"] == "mirror"]
    assert ware["origin"] == BUSYBOX
    assert "to fetch" in box_world.run("plan").out
    shutil.rmtree(mirror)
    assert verdicts(box_world)["alone"] == "missing"
    assert "nobody has" in box_world.run("plan").out


def test_a_ware_that_only_a_replay_can_give_is_told(box_world: World) -> None:
    from warpforge.model.ident import plot_id, release_id
    from warpforge.model.serial import load_release, load_replay

    lost = "ztar:2222222222222222222222222222222222222222222222222222222222222222"
    replay = plot({"make": script("mkdir /out", outputs={"o": "/out"})}, {"it": "pipe:make:o"})
    replay_id = plot_id(load_replay(json.dumps(replay).encode(), "replay").noun)
    release = {"releaseName": "v1", "items": {"it": lost}, "metadata": {"replay": replay_id}}
    top = ".warpforge/catalogs/test/example.org/lost"
    box_world.write(f"{top}/_replays/{replay_id}.json", replay)
    box_world.write(f"{top}/_releases/v1.json", release)
    found = release_id(load_release(json.dumps(release).encode(), "release").noun)
    module = {"name": "example.org/lost", "releases": {"v1": found}, "metadata": {}}
    box_world.write(f"{top}/_module.json", {"catalogmodule.v1": module})
    box_world.write("plot.wf", plot({"a": script("true", inputs={"/in": "catalog:example.org/lost:v1:it"})}))
    [plan] = box_world.run("--json", "plan").all("plan")
    assert [step["verdict"] for step in plan["steps"]] == ["replay"]
    [ware] = [ware for ware in plan["wares"] if ware["state"] == "replay"]
    assert (ware["source"], ware["steps"]) == (replay_id, 1)
    assert "replay" in box_world.run("plan").out


def test_times_are_those_of_earlier_runs(box_world: World) -> None:
    make(box_world)
    [plan] = box_world.run("--json", "plan", "-j", "3").all("plan")
    assert (plan["untimed"], plan["jobs"], plan["seconds"]) == (4, 3, 0)
    box_world.run("run")
    make(box_world, alone=script("echo another"))
    [plan] = box_world.run("--json", "plan").all("plan")
    [alone] = [step for step in plan["steps"] if step["step"] == "alone"]
    assert alone["basis"] == "step"
    assert alone["seconds"] > 0
    assert plan["untimed"] == 0
    assert plan["seconds"] == pytest.approx(alone["seconds"], abs=0.002)
    [plan] = box_world.run("--json", "plan", "--force").all("plan")
    assert plan["path"] == ["a", "deep/b", "c"]
    assert {step["basis"] for step in plan["steps"] if step["step"] == "a"} == {"formula"}


def test_candidates_of_modules_that_will_run_first_are_waited_for(box_world: World) -> None:
    for name, source in (("one", None), ("two", "candidate:example.org/one:r:r")):
        box_world.write(f"m/{name}/module.wf", {"module.v1": {"name": f"example.org/{name}"}})
        inputs = {"/in": source} if source else {}
        body = script("mkdir /out", "echo x > /out/x", inputs=inputs, outputs={"o": "/out"})
        box_world.write(f"m/{name}/plot.wf", plot({"s": body}, {"r": "pipe:s:o"}))
    one, two = box_world.run("--json", "plan", "m/...").all("plan")
    assert (one["steps"][0]["verdict"], two["steps"][0]["verdict"]) == ("run", "waits")
    assert "one" in two["steps"][0]["waits"][0]
    box_world.run("run", "m/...")
    one, two = box_world.run("--json", "plan", "m/...").all("plan")
    assert (one["steps"][0]["verdict"], two["steps"][0]["verdict"]) == ("hit", "hit")


def test_the_graph_in_every_form(box_world: World) -> None:
    evil = 'say/"<b>&;\\'
    make(box_world, **{evil: step({"noop": {}}, None, None)})
    mermaid = box_world.run("plan", "--graph", "mermaid").out
    assert mermaid.startswith("flowchart TD\n")
    assert mermaid.count("-->") == 2
    assert "<b>" not in mermaid
    dot = box_world.run("plan", "--graph", "dot").out
    assert '"deep/b" -> "c"' in dot
    assert 'subgraph "cluster_deep"' in dot
    box_world.run("plan", "--graph", "svg", "-o", "graph.svg")
    drawing = ElementTree.parse(box_world.path("graph.svg")).getroot()
    ns = "{http://www.w3.org/2000/svg}"
    boxes = [[float(rect.get(key, "")) for key in ("x", "y", "width", "height")] for rect in drawing.iter(f"{ns}rect")]
    assert len(boxes) == 5
    for number, (x, y, w, h) in enumerate(boxes):
        for ox, oy, ow, oh in boxes[:number]:
            assert x + w <= ox or ox + ow <= x or y + h <= oy or oy + oh <= y, "two boxes overlap"
    assert len([path for path in drawing.iter(f"{ns}path") if path.get("marker-end")]) == 2
    assert {text.text for text in drawing.iter(f"{ns}text")} >= {"a", "b", "c", evil.partition("/")[2]}


def test_wrong_names_are_one_error(box_world: World) -> None:
    assert box_world.fail("plan", "nowhere").code == "missing"
    box_world.write("plot.wf", plot({"a": script("x", inputs={"/i": "catalog:no.such/thing:v1:x"})}))
    assert box_world.fail("plan").code == "catalog-missing-entry"
