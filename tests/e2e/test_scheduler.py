"""Many steps at once: what runs, how often, what is left out after a failure, and how everything is stopped."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.plots import plot, script, subplot
from support.processes import find_descendants, is_alive, wait_until
from support.world import WARPFORGE, Result, World

from warpforge.model.atoms import Literal
from warpforge.model.ident import formula_id
from warpforge.model.serial import load_plot
from warpforge.plan.plan import FormulaTask, Plan


def failures(failed: Result) -> list[dict[str, Any]]:
    """What the one error says of all failures."""
    found: list[dict[str, Any]] = json.loads(failed.error["details"]["failures"])
    return found


def executed(world: World) -> list[str]:
    return sorted("/".join(entry["step"]) for entry in world.run("--json", "log", "--count", "1000").all("run"))


def tree_of_failures() -> dict[str, Any]:
    inner = subplot(
        {"rootfs": "pipe::rootfs"},
        {
            "bad": script("exit 4", outputs={"o": "/o"}),
            "after": script("true", inputs={"/i": "pipe:bad:o"}),
            "good": script("echo y > /o", outputs={"o": "/o"}),
        },
        {"o": "pipe:good:o"},
    )
    return plot(
        {
            "a": script("exit 3", outputs={"o": "/o"}),
            "b": script("true", inputs={"/i": "pipe:a:o"}, outputs={"o": "/i"}),
            "c": script("true", inputs={"/i": "pipe:b:o"}),
            "free": script("echo x > /o", outputs={"o": "/o"}),
            "inner": inner,
            "last": script("true", inputs={"/i": "pipe:inner:o"}),
        }
    )


@pytest.mark.both
@pytest.mark.parametrize("jobs", ["1", "4"])
def test_keep_going_runs_what_still_can_and_ends_with_one_list(box_world: World, jobs: str) -> None:
    box_world.write("plot.wf", tree_of_failures())
    failed = box_world.fail("run", "--keep-going", "-j", jobs, "plot.wf")
    assert failed.exit == 1
    found = failures(failed)
    assert [(f["step"], f["code"], f["details"]["exitCode"], f.get("skipped", [])) for f in found] == [
        ("a", "warpforge-error-formula-execution-failed", "3", ["b", "c"]),
        ("inner/bad", "warpforge-error-formula-execution-failed", "4", ["last", "inner/after"]),
    ]
    assert executed(box_world) == ["a", "free", "inner/bad", "inner/good"]
    skipped = {(line["step"], line["because"]) for line in failed.all("skipped")}
    assert skipped == {("b", "a"), ("c", "a"), ("inner/after", "inner/bad"), ("last", "inner/bad")}
    said = box_world.call("run", "-k", "plot.wf").err
    assert "not run because of it: b, c" in said and "2 failures, and 4 steps" in said


def test_without_it_nothing_begins_after_a_failure(box_world: World) -> None:
    box_world.write("plot.wf", tree_of_failures())
    failed = box_world.fail("run", "-j", "1", "plot.wf")
    assert executed(box_world) == ["a"]
    assert "failures" not in failed.error.get("details", {})


def test_no_more_actions_run_at_once_than_jobs(box_world: World) -> None:
    """However many boxes are ready."""
    (box_world.root / "host").mkdir()
    (box_world.root / "host").chmod(0o777)
    act = "mkdir /h/on-{0}; ls /h | grep -c on- >> /h/counts; sleep 0.1; rmdir /h/on-{0}"
    steps = {f"s{n}": script(act.format(n), inputs={"/h": "mount:rw:host"}) for n in range(7)}
    box_world.write("plot.wf", plot(steps))
    box_world.run("run", "-j", "2", "plot.wf")
    counts = [*map(int, (box_world.root / "host" / "counts").read_text().split())]
    assert len(counts) == 7 and max(counts) <= 2


def test_boxes_that_are_ready_when_another_step_fails_are_never_begun(box_world: World) -> None:
    long = {f"s{n}": script(f"sleep 2; echo {n}") for n in range(9)}
    box_world.write("plot.wf", plot({"bad": script("exit 3"), **long}))
    failed = box_world.fail("run", "-j", "2", "plot.wf")
    ran = executed(box_world)
    assert "bad" in ran and len(ran) <= 5  # of the first three two begin, and perhaps two when these end
    assert sorted(line["step"] for line in failed.all("started")) == ran


def test_the_gravest_failure_decides_the_exit_status(box_world: World) -> None:
    steps = {"a": script("exit 3"), "b": script("true", inputs={"/m": "mount:ro:nowhere"})}
    box_world.write("plot.wf", plot(steps))
    failed = box_world.fail("run", "-k", "plot.wf")
    assert (failed.exit, failed.code) == (3, "missing")
    assert [f["step"] for f in failures(failed)] == ["a", "b"]


def test_keep_going_over_modules(box_world: World) -> None:
    for name, line in (("a", "exit 3"), ("b", "true"), ("c", "true"), ("d", "true")):
        box_world.write(f"{name}/module.wf", {"module.v1": {"name": f"example.org/{name}"}})
        box_world.write(f"{name}/plot.wf", plot({"s": script(line)}))
    box_world.write("c/plot.wf", plot({"s": script("true", inputs={"/x": "catalog:example.org/none:v1:x"})}))
    failed = box_world.fail("run", "-k", "./...")
    assert failed.exit == 3
    found = failures(failed)
    assert [(Path(f["module"]).name, f.get("step", ""), f["code"].rpartition("error-")[2]) for f in found] == [
        ("a", "s", "formula-execution-failed"),
        ("c", "", "catalog-missing-entry"),
    ]
    assert len(failed.all("plotresults")) == 2


@pytest.mark.parametrize("flags", [(), ("--force",)])
def test_one_formula_of_many_steps_and_modules_runs_once(box_world: World, flags: tuple[str, ...]) -> None:
    same = script("sleep 0.2", "echo x > /o", outputs={"o": "/o"})
    inner = subplot({"rootfs": "pipe::rootfs"}, {"x": same, "y": same}, {"o": "pipe:y:o"})
    for name in "ab":
        box_world.write(f"{name}/module.wf", {"module.v1": {"name": f"example.org/{name}"}})
        box_world.write(f"{name}/plot.wf", plot({"s": same, "t": same, "in": inner}, {"o": "pipe:in:o"}))
    ran = box_world.run("--json", "run", *flags, "-j", "4", "./...")
    assert len(executed(box_world)) == 1
    assert len(ran.all("finished")) == 8
    assert [line["hit"] for line in ran.all("finished")].count(False) == 1


def test_twins_of_a_failure_fail_with_it(box_world: World) -> None:
    same = script("sleep 0.1", "exit 9", outputs={"o": "/o"})
    box_world.write("plot.wf", plot({"s": same, "t": same, "u": script("true", inputs={"/i": "pipe:t:o"})}))
    failed = box_world.fail("run", "-k", "-j", "4", "plot.wf")
    assert [(f["step"], f.get("skipped")) for f in failures(failed)] == [("s", None), ("t", ["u"])]
    assert len(executed(box_world)) == 1


def test_a_pipe_from_an_output_that_is_not_there_is_seen_before_anything_runs(box_world: World) -> None:
    steps = {"a": script("true", outputs={"o": "/o"}), "b": script("true", inputs={"/i": "pipe:a:other"})}
    box_world.write("plot.wf", plot(steps))
    failed = box_world.fail("run", "plot.wf")
    assert failed.code == "plot-invalid"
    assert executed(box_world) == []


def stop(world: World, plot_path: str, signals: tuple[int, ...], *more: str) -> tuple[int, str, float]:
    """Start a run, wait until its actions speak, send signals at once; how it ended, what it said, and how long."""
    with subprocess.Popen(
        [str(WARPFORGE), "--json", "run", "-j", "3", *more, plot_path],
        cwd=world.root,
        env=world.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for _ in range(2):
            assert "begun" in process.stderr.readline()
        below = find_descendants(process.pid)
        assert below
        since = time.monotonic()
        for number in signals:
            process.send_signal(number)
        said = process.stderr.read()
        status = process.wait()
    assert wait_until(lambda: not any(map(is_alive, below))), below
    return status, said, time.monotonic() - since


@pytest.mark.both
@pytest.mark.parametrize(
    "signals", [(signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT), (signal.SIGHUP,)]
)
def test_a_signal_stops_everything_and_the_next_run_does_the_rest(box_world: World, signals: tuple[int, ...]) -> None:
    trap = "trap '' INT TERM HUP; echo begun; sleep 100"
    steps = {name: script(trap, f"echo {name} > /o", outputs={"o": "/o"}) for name in "ab"}
    box_world.write("plot.wf", plot({**steps, "c": script("true", inputs={"/i": "pipe:a:o"})}))
    status, said, seconds = stop(box_world, "plot.wf", signals, "--keep-going")
    assert status == 130
    assert seconds < 50  # half of what the actions take; in practice a tenth of a second
    codes = [json.loads(line)["code"] for line in said.splitlines() if '"code"' in line]
    assert codes == ["warpforge-error-interrupted"]
    box_world.write("plot.wf", plot({"other": script("true")}))
    box_world.run("run", "plot.wf")
    assert not list(box_world.path(".warpforge/tmp").iterdir())


def generated(count: int) -> dict[str, Any]:
    """A plot of one long chain, each step also tied to the one a hundred before it, and handing on texts only."""
    steps = {}
    for n in range(count):
        inputs = {"$IN": f"pipe:s{n - 1}:x" if n else "literal:0"}
        if n > 100:
            inputs["$OLD"] = f"pipe:s{n - 100}:x"
        action = {"script": {"interpreter": "/bin/sh", "contents": ["X=$IN."]}}
        steps[f"s{n}"] = {"protoformula": {"inputs": inputs, "action": action, "outputs": {"x": {"from": "$X"}}}}
    return {"plot.v1": {"inputs": {}, "steps": steps, "outputs": {"x": f"pipe:s{count - 1}:x"}}}


def memoise(world: World, path: str) -> None:
    """Give every step of a plot of texts a memo: its own name is what it gave."""
    plan = Plan(load_plot(world.path(path).read_bytes(), path).noun, {})
    memos = world.path(".warpforge/memos")
    memos.mkdir(exist_ok=True)
    while not plan.done:
        for task in plan.ready():
            assert isinstance(task, FormulaTask)
            name = formula_id(task.formula)
            results = {"x": f"literal:{task.path[0]}"}
            record = {"guid": "0", "time": 1, "formulaID": name, "exitcode": 0, "results": results}
            (memos / f"{name}.json").write_text(json.dumps(record))
            plan.finished(task, {"x": Literal(task.path[0])})


MEASURED = """
import sys
from warpforge.cli.main import call
status = call(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1], file=sys.stderr)
sys.exit(status)
"""


def test_ten_thousand_steps_in_bounded_memory(world: World) -> None:
    """D10: a chain of 10 000 steps, each with a second need, is linear in time and takes less than 128 MB."""
    world.root_workspace()
    world.write("plot.wf", generated(10_000))
    memoise(world, "plot.wf")
    argv = [sys.executable, "-c", MEASURED, "--quiet", "run", "plot.wf"]
    done = subprocess.run(argv, cwd=world.root, env=world.environment(), capture_output=True, text=True)
    assert done.stdout == "x\tliteral:s9999\n", done.stderr
    assert int(done.stderr) < 128 << 10


def test_the_order_in_which_steps_end_changes_nothing(box_world: World) -> None:
    """Z02: steps that take turns at being the slowest, with any number of jobs, give the same ids."""
    chance = random.Random(11)
    found = set()
    for jobs in ("1", "2", "8"):
        delays = {f"s{n}": chance.choice((0, 0.05, 0.1)) for n in range(5)}
        # the delay is a mount's, so it is in no formula id
        for name, delay in delays.items():
            box_world.write(f"delays/{name}", str(delay))
        mount, made = {"/d": "mount:ro:delays"}, {"o": "/o"}
        lines = {name: f"sleep $(cat /d/{name}); echo {name} > /o" for name in delays}
        steps = {name: script(lines[name], inputs=mount, outputs=made) for name in delays}
        steps["all"] = script("cat /i/* > /o", inputs={f"/i/{n}": f"pipe:{n}:o" for n in delays}, outputs={"o": "/o"})
        box_world.write("plot.wf", plot(steps, {"o": "pipe:all:o"}))
        found.add(json.dumps(box_world.run("--json", "--quiet", "run", "-j", jobs, "plot.wf").all("plotresults")))
    assert len(found) == 1
