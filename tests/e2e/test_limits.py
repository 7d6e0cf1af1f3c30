"""Limits as people give them: flags and workspace settings. No id changes, the record says what was kept and how."""

from __future__ import annotations

from typing import Any

import pytest
from support.plots import plot, script, subplot
from support.world import World

pytestmark = pytest.mark.both

ENDLESS = "while :; do :; done"


def entry(world: World, step: str = "s") -> dict[str, Any]:
    """The last execution of a step."""
    found: dict[str, Any] = world.run("--json", "log", step).all("run")[0]
    return found


def settings(world: World, name: str, body: dict[str, Any]) -> None:
    world.write(f".warpforge/config/{name}.json", {f"{name}.v1": body})


@pytest.mark.parametrize("sandbox", ["bwrap", "runc"])
def test_a_limit_inside_which_a_run_stays_changes_nothing_but_the_record(box_world: World, sandbox: str) -> None:
    box_world.write("plot.wf", plot({"s": script("echo x > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"}))
    limits = ("--limit=time=5m", "--limit", "memory=1GiB", "--limit=pids=100", "--limit=disk=1G", "--limit=output=1M")
    first = box_world.run("--json", "run", "--sandbox", sandbox, *limits, "plot.wf")
    assert not first.one("finished")["hit"]
    kept = entry(box_world)["limits"]
    assert {name: text.split(" by ")[0] for name, text in kept.items()} == {
        "time": "300",
        "memory": str(1 << 30),
        "pids": "100",
        "disk": "1000000000",
        "output": "1000000",
    }
    assert all(text.split(" by ")[1] for text in kept.values())
    assert entry(box_world)["sandbox"] == sandbox
    again = box_world.run("--json", "run", "plot.wf")
    assert again.one("finished")["hit"], "a run that its limits did not touch is answered from the memo"
    assert again.one("plotresults") == first.one("plotresults")


@pytest.mark.parametrize(
    ("limit", "action", "reason"),
    [
        ("time=300s", "exit 0", ""),
        ("time=0.3s", ENDLESS, "time"),
        ("pids=20", "b() { b | b & }; b; sleep 60", "pids"),
        ("memory=60M", "x=$(head -c 99000000 /dev/zero | tr '\\0' x); sleep 60; :", "memory"),
        ("disk=2M", "dd if=/dev/zero of=/x bs=1M count=9; rm /x; dd if=/dev/zero of=/y bs=1M count=9", "disk"),
        ("output=5k", "while :; do echo much; done", "output"),
        ("gather=1M", "dd if=/dev/zero of=/o bs=1M count=2", "disk"),
    ],
)
def test_a_step_over_its_limit_fails_and_is_run_again_next_time(
    box_world: World, limit: str, action: str, reason: str
) -> None:
    box_world.write("plot.wf", plot({"s": script("echo x > /o", action, outputs={"o": "/o"})}, {"o": "pipe:s:o"}))
    if not reason:
        box_world.run("run", "--limit", limit, "plot.wf")
        return
    failed = box_world.fail("run", "--limit", limit, "plot.wf")
    assert (failed.exit, failed.code) == (1, "action-limit")
    assert failed.causes[-1]["details"]["reason"] == reason
    run = entry(box_world)
    assert run["error"] == "warpforge-error-action-limit"
    assert run.get("truncated", False) == (reason == "output")
    again = box_world.fail("run", "--limit", limit, "plot.wf")
    assert again.all("started"), "what was stopped is not remembered"


def test_a_command_has_a_limit_for_all_its_steps(box_world: World) -> None:
    steps = {name: script("sleep 60", outputs={"o": "/o"}) for name in ("a", "b")}
    steps["quick"] = script("echo x > /o", outputs={"o": "/o"})
    box_world.write("plot.wf", plot(steps))
    failed = box_world.fail("run", "--limit", "total=3s", "-j1", "--keep-going", "plot.wf")
    assert (failed.exit, failed.code) == (1, "action-limit")
    assert failed.causes[-1]["details"]["limit"] == "3"
    box_world.write("plot.wf", plot({"quick": steps["quick"]}))
    box_world.run("run", "--force", "--limit", "total=100s", "plot.wf")
    assert entry(box_world, "quick")["limits"] == {"total": "100 by clock"}


def test_a_capped_log_says_so(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("while :; do echo much; done")}))
    box_world.fail("run", "--limit", "output=3k", "plot.wf")
    said = box_world.run("log", "s").out
    assert said.count("much") < 700
    assert "truncated" in said


def test_settings_name_modules_and_steps_and_flags_come_first(box_world: World) -> None:
    steps = {name: script(f"echo {name} > /o", outputs={"o": "/o"}) for name in ("plain", "special", "other")}
    steps["sub"] = subplot({"rootfs": "pipe::rootfs"}, {"special": script("echo in > /o", outputs={"o": "/o"})}, {})
    box_world.write("m/module.wf", {"module.v1": {"name": "example.org/m"}})
    box_world.write("m/plot.wf", plot(steps))
    settings(
        box_world,
        "limits",
        {
            "defaults": {"pids": 90, "time": "1h"},
            "steps": {"special": {"pids": 80}, "sub/special": {"pids": 70}},
            "modules": {
                "example.org/m": {"defaults": {"pids": 60}, "steps": {"other": {"time": "none", "output": "1M"}}},
                "example.org/n": {"defaults": {"pids": 10}},
            },
        },
    )
    box_world.run("run", "--limit", "disk=1G", "m")
    kept = {"/".join(run["step"]): run["limits"] for run in box_world.run("--json", "log").all("run")}
    said = {step: {n: t.split(" by ")[0] for n, t in limits.items()} for step, limits in kept.items()}
    everywhere = {"disk": "1000000000"}
    assert said == {
        "plain": {"pids": "60", "time": "3600", **everywhere},
        "special": {"pids": "80", "time": "3600", **everywhere},
        "other": {"pids": "60", "output": "1000000", **everywhere},
        "sub/special": {"pids": "70", "time": "3600", **everywhere},
    }
    box_world.run("run", "--force", "--limit", "pids=50", "m")
    assert {run["limits"]["pids"].split()[0] for run in box_world.run("--json", "log").all("run")[:4]} == {"50"}


@pytest.mark.parametrize(
    "limit", ["memory", "memory=", "memory=1", "memory=lots", "colour=3", "pids=-1", "pids=2.5", "time=5", "=3"]
)
def test_a_limit_that_is_none(box_world: World, limit: str) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}))
    failed = box_world.fail("run", "--limit", limit, "plot.wf")
    assert (failed.exit, failed.code) == (2, "invalid-argument")


@pytest.mark.parametrize(
    "body",
    [{"defaults": {"colour": "3"}}, {"steps": {"s": {"pids": None}}}, {"modules": {"m": {"x": {}}}}, {"y": {}}, []],
)
def test_settings_that_are_wrong_are_told_with_their_place(box_world: World, body: Any) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}))
    settings(box_world, "limits", body)
    failed = box_world.fail("run", "plot.wf")
    assert failed.exit == 2
    assert "limits.json" in failed.causes[-1]["message"]


def test_the_sandbox_of_a_workspace(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}))
    settings(box_world, "sandbox", {"use": "runc"})
    box_world.run("run", "plot.wf")
    assert entry(box_world)["sandbox"] == "runc"
    box_world.run("run", "--force", "--sandbox", "bwrap", "plot.wf")
    assert entry(box_world)["sandbox"] == "bwrap"
    settings(box_world, "sandbox", {"use": "chroot"})
    failed = box_world.fail("run", "--force", "plot.wf")
    assert failed.exit == 2
    assert "chroot" in failed.causes[-1]["message"]
