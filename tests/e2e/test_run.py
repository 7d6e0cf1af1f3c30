"""``warpforge run`` with real boxes: what goes in, what comes out, and what is not done twice."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from support.faults import needs_strace
from support.plots import plot, script, step, subplot
from support.world import WARPFORGE, World

pytestmark = pytest.mark.both


def contents(world: World, ware: str) -> dict[str, str]:
    """The files of a ware, by path."""
    world.run("ware", "unpack", "--path", f"out-{ware[-8:]}", ware)
    top = world.path(f"out-{ware[-8:]}")
    if top.is_file():
        return {".": top.read_text()}
    return {str(p.relative_to(top)): p.read_text() for p in sorted(top.rglob("*")) if p.is_file()}


def results(world: World, *args: str) -> dict[str, str]:
    found: dict[str, str] = world.run("--json", "--quiet", "run", *args).all("plotresults")[-1]
    return found


def test_the_second_run_spawns_no_box(box_world: World) -> None:
    needs_strace()
    box_world.write(
        "plot.wf",
        plot(
            {
                "a": script("mkdir /out", "echo a > /out/x", outputs={"o": "/out"}),
                "b": script("cat /in/x", inputs={"/in": "pipe:a:o"}),
            },
            {"r": "pipe:a:o"},
        ),
    )

    def traced() -> tuple[str, str]:
        trace = box_world.path("trace")
        done = subprocess.run(
            ["strace", "-f", "-qq", "-e", "trace=execve", "-o", trace, str(WARPFORGE), "--json", "run", "plot.wf"],
            cwd=box_world.root,
            env=box_world.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, trace.read_text()

    first_said, first_trace = traced()
    second_said, second_trace = traced()
    assert "bwrap" in first_trace
    assert second_trace.count("execve(") == 1
    hits = [json.loads(line)["finished"]["hit"] for line in second_said.splitlines() if '"finished"' in line]
    assert hits == [True, True]
    assert [line for line in first_said.splitlines() if '"plotresults"' in line] == [
        line for line in second_said.splitlines() if '"plotresults"' in line
    ]


def test_an_input_may_be_appended_to_and_gathered_and_stays_as_it_was(box_world: World) -> None:
    box_world.write(
        "plot.wf",
        plot(
            {
                "a": script("mkdir /out", "echo one > /out/file", outputs={"o": "/out"}),
                "b": script(
                    "echo two >> /in/file", "chmod 0600 /in/file", inputs={"/in": "pipe:a:o"}, outputs={"o": "/in"}
                ),
                "c": script("cat /in/file", inputs={"/in": "pipe:a:o"}),
            },
            {"before": "pipe:a:o", "after": "pipe:b:o"},
        ),
    )
    found = results(box_world, "plot.wf")
    assert contents(box_world, found["before"]) == {"file": "one\n"}
    assert contents(box_world, found["after"]) == {"file": "one\ntwo\n"}
    assert "c | one\n" in box_world.run("run", "-f", "plot.wf").err
    assert results(box_world, "-f", "plot.wf") == found


GOLDEN = """\
HOME=/
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PWD=/
TERM=xterm
umask 0022
runc
cwd /
uid=0 gid=0
files 1024
core 0
root . .. .warpforge.container bin dev proc sys
sys
stdin 0
"""


@pytest.mark.parametrize("sandbox", ["bwrap", "runc"])
def test_the_action_sees_the_golden_environment(box_world: World, sandbox: str) -> None:
    lines = (
        "env | grep -v '^_=' | grep -v SHLVL | grep -v OLDPWD | sort",
        "echo umask $(umask)",
        "hostname",
        "echo cwd $(pwd)",
        "echo uid=$(id -u) gid=$(id -g)",
        "echo files $(ulimit -n)",
        "echo core $(ulimit -c)",
        "echo root $(ls -a /)",
        "echo sys $(ls -A /sys)",
        "echo stdin $(wc -c)",
    )
    box_world.write("plot.wf", plot({"env": script(*lines)}))
    host = {"SECRET_OF_THE_HOST": "x", "LD_PRELOAD": "", "LANG": "C.UTF-8", "TERM": "dumb"}
    said = box_world.run("run", "--sandbox", sandbox, "plot.wf", env=host).err
    seen = "".join(line.removeprefix("env | ") + "\n" for line in said.splitlines() if line.startswith("env | "))
    assert seen == GOLDEN


@pytest.mark.parametrize("sandbox", ["bwrap", "runc"])
def test_the_action_has_its_own_limits_of_files_and_core_and_the_callers_others(box_world: World, sandbox: str) -> None:
    box_world.write("plot.wf", plot({"s": script("ulimit -a")}))
    said = box_world.run("run", "--sandbox", sandbox, "plot.wf").err
    seen = [line.removeprefix("s | ") for line in said.splitlines() if line.startswith("s | ")]
    outside = subprocess.run(
        ["busybox", "sh", "-c", "ulimit -c 0; ulimit -S -n 1024; ulimit -a"], capture_output=True, text=True, check=True
    )
    assert seen == outside.stdout.splitlines()
    assert any("(-n) 1024" in line for line in seen), seen
    assert any("(-c) 0" in line for line in seen), seen


def test_only_the_last_entry_of_a_script_decides(box_world: World) -> None:
    box_world.write("go.wf", plot({"s": script("echo one", "false", "echo three; V=kept")}))
    assert "three" in box_world.run("run", "go.wf").err
    box_world.write("stop.wf", plot({"s": script("echo one", "exit 7", "echo three")}))
    failed = box_world.fail("run", "stop.wf")
    assert failed.exit == 1
    assert [cause["code"].removeprefix("warpforge-error-") for cause in failed.causes] == [
        "plot-execution-failed",
        "plot-step-failed",
        "formula-execution-failed",
    ]
    assert failed.causes[-1]["details"]["exitCode"] == "7"
    assert failed.one("runrecord")["exitcode"] == 7
    assert "three" not in failed.err
    assert box_world.fail("run", "stop.wf").one("runrecord")["guid"] != failed.one("runrecord")["guid"]


def test_a_variable_of_a_script_is_a_literal_result(box_world: World) -> None:
    value = "two words, 'quotes' and\na line\n"
    box_world.write(
        "plot.wf",
        plot(
            {
                "v": script('X="$IN"', "E=", inputs={"$IN": f"literal:{value}"}, outputs={"x": "$X", "e": "$E"}),
                "w": script('printf %s "$Y" > /out', inputs={"$Y": "pipe:v:x"}, outputs={"o": "/out"}),
            },
            {"x": "pipe:v:x", "e": "pipe:v:e", "o": "pipe:w:o"},
        ),
    )
    found = results(box_world, "plot.wf")
    assert found["x"] == f"literal:{value}"
    assert found["e"] == "literal:"
    assert contents(box_world, found["o"]) == {".": value}


@pytest.mark.parametrize(("line", "reason"), [("true", "missing"), ("X=$(yes | head -c 70000)", "limit")])
def test_a_variable_that_cannot_be_a_result(box_world: World, line: str, reason: str) -> None:
    box_world.write("plot.wf", plot({"v": script(line, outputs={"x": "$X"})}))
    failed = box_world.fail("run", "plot.wf")
    assert (failed.code, failed.exit) == ("output-invalid", 1)
    assert failed.causes[-1]["details"]["reason"] == reason


def test_files_literals_and_mounts_come_in_and_a_single_file_goes_out(box_world: World) -> None:
    box_world.write("host/data.txt", "from the host\n")
    box_world.write(
        "plot.wf",
        plot(
            {
                "one": script("echo single > /f", outputs={"f": "/f"}),
                "two": script(
                    "cat /lit /file /host/data.txt > /all",
                    "echo more >> /file",
                    "echo changed >> /host/data.txt",
                    "cat /file /host/data.txt >> /all",
                    inputs={"/lit": "literal:text", "/file": "pipe:one:f", "/host": "mount:overlay:host"},
                    outputs={"all": "/all"},
                ),
            },
            {"all": "pipe:two:all", "f": "pipe:one:f"},
        ),
    )
    found = results(box_world, "plot.wf")
    said = "textsingle\nfrom the host\nsingle\nmore\nfrom the host\nchanged\n"
    assert contents(box_world, found["all"]) == {".": said}
    assert contents(box_world, found["f"]) == {".": "single\n"}
    assert box_world.path("host/data.txt").read_text() == "from the host\n"
    steps = {f["step"]: f["hit"] for f in box_world.run("--json", "run", "plot.wf").all("finished")}
    assert steps == {"one": True, "two": False}


def test_a_read_write_mount_reaches_the_host_and_a_read_only_one_does_not(box_world: World) -> None:
    box_world.write("rw/old", "x")
    box_world.write("ro/old", "x")
    lines = ("echo new > /rw/new", "echo y >> /rw/old", "echo y >> /ro/old; echo $? > /rw/ro")
    box_world.write("plot.wf", plot({"s": script(*lines, inputs={"/rw": "mount:rw:rw", "/ro": "mount:ro:ro"})}))
    box_world.run("run", "plot.wf")
    assert box_world.path("rw/new").read_text() == "new\n"
    assert box_world.path("rw/old").read_text() == "xy\n"
    assert box_world.path("ro/old").read_text() == "x"
    assert box_world.path("rw/ro").read_text() == "1\n"
    assert box_world.path("rw/new").stat().st_uid == os.geteuid()


def test_pipes_into_subplots_and_outputs_through_filters(box_world: World) -> None:
    inner = subplot(
        {"parent": "pipe:a:o", "rootfs": "pipe::rootfs"},
        {"deep": script("cat /in/x /in/x > /y", inputs={"/in": "pipe::parent"}, outputs={"o": "/y"})},
        {"plain": "pipe:deep:o", "dated": {"basis": "pipe:deep:o", "filters": {"mtime": "@7"}}},
    )
    box_world.write(
        "plot.wf",
        plot(
            {
                "a": script("mkdir /o", "echo hi > /o/x", outputs={"o": "/o"}),
                "inner": inner,
                "last": script("ls -l /f > /t; cat /f", inputs={"/f": "pipe:inner:dated"}, outputs={"t": "/f"}),
            },
            {"plain": "pipe:inner:plain", "dated": "pipe:inner:dated"},
        ),
    )
    run = box_world.run("--json", "--quiet", "run", "plot.wf")
    subresults, found = run.all("plotresults")
    assert subresults == found
    assert found["plain"] != found["dated"]
    assert contents(box_world, found["dated"]) == {".": "hi\nhi\n"}
    shown = [box_world.run("ware", "show", ware).out.split() for ware in (found["plain"], found["dated"])]
    assert [line[3] for line in shown] == ["1262304000", "7"]
    assert box_world.run("--json", "--quiet", "run", "plot.wf").all("plotresults") == [subresults, found]


def test_filters_of_an_input_are_seen_in_the_box_and_change_the_formula(box_world: World) -> None:
    gather = {"from": "/o", "packtype": "ztar", "filters": {"mtime": "keep"}}
    steps = {
        "a": script("mkdir /o", "echo x > /o/x", "touch -d @1000 /o/x", outputs={"o": gather}),
        "plain": script("stat -c %Y /i/x > /r", inputs={"/i": "pipe:a:o"}, outputs={"r": "/r"}),
        "dated": script(
            "stat -c %Y /i/x > /r",
            inputs={"/i": {"basis": "pipe:a:o", "filters": {"mtime": "@2000"}}},
            outputs={"r": "/r"},
        ),
    }
    box_world.write("plot.wf", plot(steps, {"plain": "pipe:plain:r", "dated": "pipe:dated:r"}))
    found = results(box_world, "plot.wf")
    assert contents(box_world, found["plain"]) == {".": "1000\n"}
    assert contents(box_world, found["dated"]) == {".": "2000\n"}


def test_echo_and_noop_run_no_process(box_world: World) -> None:
    box_world.write(
        "plot.wf",
        plot(
            {
                "a": script("mkdir /o", "echo x > /o/x", outputs={"o": "/o"}),
                "noop": step({"noop": {}}, {"/in": "pipe:a:o"}, {"o": "/in"}),
                "echo": step({"echo": {}}, {"/in": "pipe:a:o"}, {}),
            },
            {"a": "pipe:a:o", "noop": "pipe:noop:o"},
        ),
    )
    said = box_world.run("run", "plot.wf")
    found = results(box_world, "plot.wf")
    assert found["a"] == found["noop"]
    assert '"formula.v1": {' in said.err


def test_a_ware_of_the_whole_root(box_world: World) -> None:
    box_world.write(
        "plot.wf",
        plot(
            {
                "whole": script("echo mine > /mine", outputs={"root": "/"}, inputs={"/extra/deep": "literal:x"}),
                "again": script("cat /mine; ls -A /", inputs={"/": "pipe:whole:root"}),
            },
            {"root": "pipe:whole:root"},
        ),
    )
    said = box_world.run("run", "plot.wf").err
    assert "again | mine" in said
    shown = box_world.run("ware", "show", results(box_world, "plot.wf")["root"]).out
    paths = {line.split()[6] for line in shown.splitlines()}
    assert {".", "bin/busybox", "mine"} <= paths
    assert not {p for p in paths if p.split("/")[0] in ("proc", "dev", "sys", ".warpforge.container")}


def test_a_daemon_neither_survives_nor_changes_what_is_packed(box_world: World) -> None:
    daemon = "(trap '' HUP TERM; setsid sh -c 'while :; do echo x >> /o/x; done' &) > /dev/null 2>&1"
    written = "until [ -s /o/x ]; do sleep 0.02; done"
    box_world.write("plot.wf", plot({"d": script("mkdir /o", daemon, written, outputs={"o": "/o"})}, {"o": "pipe:d:o"}))
    size = len(contents(box_world, results(box_world, "plot.wf")["o"])["x"])
    assert size
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "echo x >> /o/x" not in listing


@pytest.mark.parametrize("jobs", ["1", "2", "8"])
def test_the_number_of_jobs_changes_no_id(box_world: World, jobs: str) -> None:
    steps = {f"s{n}": script(f"echo {n} > /o", outputs={"o": "/o"}) for n in range(4)}
    both = {f"/{n}": f"pipe:s{n}:o" for n in range(4)}
    steps["join"] = script("cat /0 /1 /2 /3 > /o", inputs=both, outputs={"o": "/o"})
    box_world.write("plot.wf", plot(steps, {"o": "pipe:join:o"}))
    found = results(box_world, "-j", jobs, "plot.wf")
    assert contents(box_world, found["o"]) == {".": "0\n1\n2\n3\n"}
    assert results(box_world, "-f", "-j", "3", "plot.wf") == found


def test_thirty_two_processes_leave_one_execution(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("sleep 0.3", "echo x > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"}))
    running = [
        subprocess.Popen(
            [str(WARPFORGE), "--json", "--quiet", "run", "plot.wf"],
            cwd=box_world.root,
            env=box_world.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(32)
    ]
    ended = [(process.communicate(), process.returncode) for process in running]
    assert [status for _, status in ended] == [0] * 32, ended
    assert len({said.splitlines()[-1] for (said, _), _ in ended}) == 1
    assert len(box_world.run("--json", "log").all("run")) == 1


def test_the_log_keeps_what_was_said(box_world: World) -> None:
    box_world.write("plot.wf", plot({"good": script("echo to out", "echo to err >&2")}))
    box_world.write("bad.wf", plot({"bad": script("echo before; exit 3")}))
    box_world.run("run", "plot.wf")
    box_world.fail("run", "bad.wf")
    listed = box_world.run("--json", "log").all("run")
    assert [(e["step"], e["exit_code"]) for e in listed] == [(["bad"], 3), (["good"], 0)]
    assert box_world.run("log", "bad").out == "before\n"
    assert sorted(box_world.run("log", listed[1]["id"][:8]).out.splitlines()) == ["to err", "to out"]
    assert box_world.fail("log", "nothing-of-the-kind").exit == 3


def test_modules_are_found_and_run_together(box_world: World) -> None:
    for name in ("a", "b/c"):
        box_world.write(f"{name}/module.wf", {"module.v1": {"name": f"example.org/{name}"}})
        box_world.write(
            f"{name}/plot.wf", plot({"s": script(f"echo {name} > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"})
        )
    box_world.write("empty/module.wf", {"module.v1": {"name": "example.org/empty"}})
    everything = box_world.run("run", "./...")
    assert [line.split("\t")[0] for line in everything.out.splitlines()] == ["a/o", "c/o"]
    assert "empty/module.wf has no plot.wf" in everything.err
    assert box_world.fail("run", "empty").exit == 3
    assert len(box_world.run("--json", "--quiet", "run", "a", "b/c/module.wf").all("plotresults")) == 2
    assert box_world.run("--json", "--quiet", "run", cwd="a").all("plotresults")


def test_an_empty_plot_has_empty_results(box_world: World) -> None:
    box_world.write("plot.wf", {"plot.v1": {"inputs": {}, "steps": {}, "outputs": {}}})
    assert box_world.run("--json", "run", "plot.wf").one("plotresults") == {}


def test_both_spellings_run_and_have_their_own_plot_ids(box_world: World) -> None:
    shipped = plot({"s": script("echo x > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"})
    body = shipped["plot.v1"]
    documented = {
        "plot.v1": {
            "input": body["inputs"],
            "steps": {"s": {"formula": body["steps"]["s"]["protoformula"]}},
            "outputs": body["outputs"],
        }
    }
    box_world.write("a.wf", shipped)
    box_world.write("b.wf", documented)
    first = box_world.run("--json", "run", "a.wf")
    second = box_world.run("--json", "run", "b.wf")
    assert first.one("plotresults") == second.one("plotresults")
    assert second.one("finished")["hit"]
    assert box_world.run("id", "a.wf").out != box_world.run("id", "b.wf").out
