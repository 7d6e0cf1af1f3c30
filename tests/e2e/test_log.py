"""``warpforge log``: what ran is found again, and what runs now is seen from another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.plots import plot, script
from support.world import WARPFORGE, World


@pytest.fixture
def ran(box_world: World) -> World:
    box_world.write(
        "plot.wf",
        plot(
            {
                "make": script("mkdir /out", "echo made > /out/x", "echo making", outputs={"o": "/out"}),
                "use": script("cat /in/x", inputs={"/in": "pipe:make:o"}),
                "bad": script("echo before", "exit 4", inputs={"/in": "pipe:make:o"}),
            }
        ),
    )
    box_world.fail("run", "--keep-going")
    return box_world


def steps(world: World, *args: str) -> list[str]:
    return sorted("/".join(entry["step"]) for entry in world.run("--json", "log", *args).all("run"))


def test_by_step_formula_ware_failure_time_and_command(ran: World) -> None:
    assert steps(ran) == ["bad", "make", "use"]
    assert steps(ran, "--step", "use") == ["use"]
    [made] = ran.run("--json", "log", "--step", "make").all("run")
    ware = made["outputs"]["o"]
    assert steps(ran, "--ware", ware) == ["bad", "make", "use"]
    assert steps(ran, "--ware", f"ware:{ware}", "--failed") == ["bad"]
    assert steps(ran, "--formula", made["formula_id"]) == ["make"]
    assert steps(ran, "--since", "1h") == ["bad", "make", "use"]
    assert steps(ran, "--since", "2000-01-01") == ["bad", "make", "use"]
    assert ran.fail("log", "--since", "2999-01-01").code == "missing"
    assert ran.fail("log", "--since", "when it was").code == "invalid-argument"
    ran.fail("run")
    assert steps(ran, "--command", "last") == ["bad"]
    assert steps(ran, "--command", made["invocation"][:10]) == ["bad", "make", "use"]
    assert steps(ran, "-n", "1") == ["bad"]


def test_what_was_said_is_as_it_was_said(ran: World) -> None:
    assert ran.run("log", "make").out == "making\n"
    shown = ran.run("log", "--step", "bad", "bad").err
    assert "exit 4" in shown or ran.run("log").out.count("exit 4") == 2
    [entry] = ran.run("--json", "log", "use").all("run")
    assert entry["origins"]["/in"] == "pipe:make:o"
    assert [phase[0] for phase in entry["phases"]] == ["supply", "furnish", "box"]


def start(world: World) -> subprocess.Popen[bytes]:
    """A run of two steps that say what a file in the host's directory lets them say."""
    world.write("go/keep", "")
    wait = "while [ ! -e /go/{0} ]; do sleep 0.05; done"
    more = "printf 'more\\033[2J\\tof it\\n'"
    lines = ["echo begun $NAME", wait.format("more"), more, wait.format("end"), "echo end"]
    made = {name: script(*lines, inputs={"/go": "mount:ro:go", "$NAME": f"literal:{name}"}) for name in ("one", "two")}
    world.write("plot.wf", plot(made))
    return subprocess.Popen(
        [WARPFORGE, "run", "-j", "2"],
        cwd=world.root,
        env=world.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def until(world: World, count: int) -> list[dict[str, Any]]:
    """What runs now, once so many do."""
    for _ in range(600):
        if world.path(".warpforge/runs").is_dir():
            listed = world.call("--json", "log")
            running = [entry for entry in listed.all("run") if entry.get("begun")] if listed.exit == 0 else []
            said = [path for entry in running if os.path.exists(path := entry["begun"]) and os.path.getsize(path)]
            if len(said) == count:
                return running
        time.sleep(0.1)
    raise AssertionError(f"{count} executions never ran at once")


@pytest.mark.both
def test_what_another_process_runs_is_followed_to_its_end(box_world: World) -> None:
    running = start(box_world)
    try:
        until(box_world, 2)
        assert box_world.run("log").out.count("running") == 2
        one = subprocess.Popen(
            [WARPFORGE, "log", "--follow", "one"],
            cwd=box_world.root,
            env=box_world.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        both = subprocess.Popen(
            [WARPFORGE, "--json", "log", "--follow"],
            cwd=box_world.root,
            env=box_world.environment(),
            stdout=subprocess.PIPE,
        )
        bored = subprocess.Popen(
            [WARPFORGE, "log", "--follow"],
            cwd=box_world.root,
            env=box_world.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert one.stdout is not None
        assert both.stdout is not None
        assert bored.stderr is not None
        heard = both.stdout.readline() + both.stdout.readline()  # all three follow now
        assert bored.stderr.readline().startswith(b"run   ")
        bored.send_signal(signal.SIGINT)
        assert bored.wait(60) == 130
        bored.stderr.close()
        assert one.stdout.readline() == b"begun one\n"
        box_world.write("go/more", "")
        assert one.stdout.readline() == b"more\x1b[2J\tof it\n"
        box_world.write("go/end", "")
        assert one.stdout.read() == b"end\n"
        assert one.wait(60) == 0
        one.stdout.close()
        said = both.stdout.read()
        assert both.wait(60) == 0
        both.stdout.close()
    finally:
        box_world.write("go/more", "")
        box_world.write("go/end", "")
        assert running.wait(60) == 0
    lines = [json.loads(line) for line in (heard + said).splitlines()]
    texts: dict[str, str] = {}
    for line in lines:
        if "said" in line:
            step = line["said"]["step"]
            texts[step] = texts.get(step, "") + line["said"]["text"]
    assert texts == {name: f"begun {name}\nmore\x1b[2J\tof it\nend\n" for name in ("one", "two")}
    assert steps(box_world) == ["one", "two"]
    assert "running" not in box_world.run("log").out


def test_one_that_was_killed_is_listed_as_killed(box_world: World) -> None:
    running = start(box_world)
    until(box_world, 2)
    running.send_signal(signal.SIGKILL)
    running.wait(60)
    assert box_world.run("log").out.count("killed") == 2
    assert box_world.fail("log", "--follow").code == "missing"


def test_a_terminal_is_safe_from_what_was_said(ran: World, tmp_path: Path) -> None:
    said = "printf '\\033]0;title\\007\\033[31mred\\033[0m\\tx\\nab\\rcd\\n\\001\\n'"
    ran.write("plot.wf", plot({"evil": script(said)}))
    ran.run("run")
    done = subprocess.run(
        ["script", "-qec", f"{WARPFORGE} log evil", "/dev/null"],
        cwd=ran.root,
        env=ran.environment(),
        capture_output=True,
        text=True,
    )
    shown = [line for line in done.stdout.splitlines() if line.startswith(("red", "cd", "\\x01"))]
    assert shown == ["red     x", "cd", "\\x01"]
    assert "\x1b" not in "".join(shown)


def test_collection_takes_old_output_with_it(ran: World) -> None:
    [path] = [path for path in ran.path(".warpforge/runs").rglob("*.log") if path.read_text() == "making\n"]
    os.utime(path, (1000, 1000))
    ran.run("store", "gc", "--keep-for", "1d")
    assert not path.exists()
    assert steps(ran) == ["bad", "make", "use"]
    assert ran.run("log", "make").out == ""
