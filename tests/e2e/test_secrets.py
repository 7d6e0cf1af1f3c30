"""Secrets: given by name, seen by the action alone: not in a log, not on a screen, not in a file, not in a ware."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.plots import plot, script, subplot
from support.world import WARPFORGE, World

pytestmark = pytest.mark.both

VALUE = "correct-horse!battery"
BOTH = pytest.mark.parametrize("sandbox", ["bwrap", "runc"])


def leaks(world: World, *said: str) -> list[str]:
    """Where the value shows: what was said, and every file of the world, but for the one that it came from."""
    needles = [VALUE.encode(), base64.b64encode(VALUE.encode())[:12]]
    found = [text[:200] for text in said if any(n in text.encode("utf-8", "surrogateescape") for n in needles)]
    for path in world.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "value":
            found += [str(path)] if any(needle in path.read_bytes() for needle in needles) else []
    return found


@BOTH
def test_a_step_sees_it_and_nobody_else(box_world: World, sandbox: str) -> None:
    lines = [
        "set -e; ls -l /run/token | cut -c1-10; stat -f -c %T /run/token",
        "[ $TOKEN = $(cat /run/token) ]; [ ${#TOKEN} = 21 ]",
        "cat /run/token; echo; echo $TOKEN >&2; env; echo -n $TOKEN | base64; echo -n xx$TOKEN | base64",
        "head -c 9 /run/token; sleep 0.2; tail -c +10 /run/token; echo",
        "for i in 1 2 3 4 5 6 7 8 9 10; do printf %s $TOKEN$TOKEN; done; echo; echo done > /o",
    ]
    step = script(*lines, inputs={"/run/token": "secret:TOKEN", "$TOKEN": "secret:TOKEN"}, outputs={"o": "/o"})
    box_world.write("plot.wf", plot({"s": step, "t": script("cat /i", inputs={"/i": "pipe:s:o"})}, {"o": "pipe:s:o"}))
    box_world.write("value", VALUE)
    argv = ["run", "--sandbox", sandbox, "--secret", "TOKEN=file:value", "plot.wf"]
    plain = box_world.run(*argv)
    assert "-r--------" in plain.err and "tmpfs" in plain.err and "***" in plain.err
    first = box_world.run("--json", *argv)
    assert not leaks(box_world, plain.out, plain.err, first.out, first.err, box_world.run("log", "s").out)
    hits = {line["step"]: (line["hit"], line["formulaID"]) for line in first.all("finished")}
    assert hits["s"] == (False, ""), "never from the memo, and without an id"
    assert hits["t"][0], "what comes after it may be remembered"
    runs = [run for run in box_world.run("--json", "log").all("run") if run["step"] == ["s"]]
    assert [(run.get("formula_id", ""), run["secrets"], run["hermetic"], "memoised" in run) for run in runs] == [
        ("", ["TOKEN"], False, False)
    ] * 2


@pytest.mark.parametrize("source", ["env:MY_TOKEN", "file:value", "cmd:cat value", "settings"])
def test_where_it_comes_from(box_world: World, source: str) -> None:
    step = script(f"[ $T = '{VALUE}' ]", inputs={"$T": "secret:TOKEN"})
    box_world.write("plot.wf", plot({"s": step}))
    box_world.write("value", VALUE + "\n")
    if source == "settings":
        box_world.write(".warpforge/config/secrets.json", {"secrets.v1": {"TOKEN": "file:value"}})
        box_world.run("run", "plot.wf")
    else:
        box_world.run("run", "--secret", f"TOKEN={source}", "plot.wf", env={"MY_TOKEN": VALUE})


def test_a_secret_of_the_plot_reaches_a_subplot(box_world: World) -> None:
    inner = script("[ -n $T ] && cat /s >/dev/null", inputs={"$T": "pipe::token", "/s": "secret:OTHER"})
    sub = subplot({"rootfs": "pipe::rootfs", "token": "pipe::token"}, {"s": inner}, {})
    box_world.write("plot.wf", plot({"sub": sub}, inputs={"token": "secret:TOKEN"}))
    box_world.run("run", "--secret", "TOKEN=env:A", "--secret", "OTHER=env:B", "plot.wf", env={"A": VALUE, "B": VALUE})


@pytest.mark.parametrize(
    ("argv", "env", "code"),
    [
        ((), {"TOKEN": VALUE}, "missing"),  # a plot cannot ask for whatever the environment has
        (("--secret", "TOKEN=env:NONE"), {}, "missing"),
        (("--secret", "TOKEN=file:none"), {}, "missing"),
        (("--secret", "TOKEN=cmd:exit 3"), {}, "missing"),
        (("--secret", "TOKEN=env:T"), {"T": "abc"}, "invalid"),
        (("--secret", "TOKEN=env:T"), {"T": "  \n "}, "invalid"),
        (("--secret", f"TOKEN={VALUE}"), {}, "invalid-argument"),
        (("--secret", "token=env:T"), {}, "invalid-argument"),
    ],
)
def test_a_secret_that_cannot_be_had(box_world: World, argv: tuple[str, ...], env: dict[str, str], code: str) -> None:
    box_world.write("plot.wf", plot({"s": script("true", inputs={"$T": "secret:TOKEN"})}))
    result = box_world.call("--json", "run", *argv, "plot.wf", env=env)
    assert result.code == code, str(result)
    assert result.exit in (2, 3)
    assert VALUE not in result.out + result.err
    assert not result.all("started")


HIDDEN = {
    "a file": "mkdir /o; head -c 70000 /dev/zero > /o/x; cat /s >> /o/x",
    "across blocks": "mkdir /o; head -c 1048570 /dev/zero > /o/x; cat /s >> /o/x; head -c 99 /dev/zero >> /o/x",
    "a name": "mkdir -p /o/d; : > /o/d/x-$(cat /s)",
    "a link": "mkdir /o; ln -s /etc/$(cat /s) /o/x",
    "base64": "mkdir /o; (echo -n pad; cat /s) | base64 > /o/x",
    "hex": "mkdir /o; od -An -tx1 /s | tr -d ' \\n' > /o/x",
    "a variable": "V=$(cat /s)",
}


@pytest.mark.parametrize("way", HIDDEN)
def test_an_output_that_tells_it_is_refused(box_world: World, way: str) -> None:
    outputs = {"v": "$V"} if way == "a variable" else {"o": "/o"}
    box_world.write("plot.wf", plot({"s": script(HIDDEN[way], inputs={"/s": "secret:TOKEN"}, outputs=outputs)}))
    before = sorted(p for p in box_world.path(".warpforge/warehouse").rglob("*"))
    failed = box_world.call("--json", "run", "--secret", "TOKEN=env:T", "plot.wf", env={"T": VALUE})
    assert (failed.exit, failed.code) == (1, "output-invalid"), str(failed)
    assert failed.causes[-1]["details"]["reason"] == "secret"
    assert sorted(p for p in box_world.path(".warpforge/warehouse").rglob("*")) == before
    assert not leaks(box_world, failed.out, failed.err)


def test_an_error_does_not_tell_it(box_world: World) -> None:
    lines = ["mkdir /o; mkfifo /o/$(cat /s)"]
    box_world.write("plot.wf", plot({"s": script(*lines, inputs={"/s": "secret:TOKEN"}, outputs={"o": "/o"})}))
    failed = box_world.call("--json", "run", "--secret", "TOKEN=env:T", "plot.wf", env={"T": VALUE})
    assert (failed.exit, failed.code) == (1, "output-invalid"), str(failed)
    assert not leaks(box_world, failed.out, failed.err)


@BOTH
def test_no_process_of_ours_and_no_file_tells_it_while_it_runs(box_world: World, sandbox: str) -> None:
    box_world.write("plot.wf", plot({"s": script("echo begun; sleep 33.5", inputs={"/s": "secret:TOKEN"})}))
    value = f"{VALUE}-{os.getpid()}-{sandbox}"  # other tests give theirs to their own processes
    box_world.write("value", value)
    argv = [str(WARPFORGE), "run", "--sandbox", sandbox, "--secret", "TOKEN=file:value", "plot.wf"]
    running = subprocess.Popen(
        argv, cwd=box_world.root, env=box_world.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        assert running.stderr
        while b"begun" not in (line := running.stderr.readline()):
            assert line
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    assert value.encode() not in (process / name).read_bytes(), f"{process}/{name}"
                except OSError:
                    pass
        assert not leaks(box_world)
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate()
    assert not leaks(box_world)


def test_a_kept_run_directory_is_not_kept(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("cat /s > /x", inputs={"/s": "secret:TOKEN"})}))
    kept = {"T": VALUE, "WARPFORGE_KEEP_RUNDIR": "1"}
    box_world.run("run", "--secret", "TOKEN=env:T", "plot.wf", env=kept)
    assert not leaks(box_world)


def test_a_plot_with_a_secret_is_not_released(box_world: World) -> None:
    box_world.write("m/module.wf", {"module.v1": {"name": "example.org/m"}})
    step = script("echo x > /o", inputs={"$T": "secret:TOKEN"}, outputs={"o": "/o"})
    box_world.write("m/plot.wf", plot({"s": step}, {"o": "pipe:s:o"}))
    failed = box_world.call("--json", "catalog", "release", "v1", cwd="m", env={"T": VALUE})
    assert failed.exit == 2, str(failed)
    assert "secret:TOKEN" in failed.err
    assert os.path.isdir(box_world.path("m"))
