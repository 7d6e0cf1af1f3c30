"""``warpforge shell`` and ``run --resume``: in the box of a step, before its action and after it failed."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pexpect
import pytest
from support.plots import plot, script, step
from support.processes import find_by_command, wait_until
from support.world import WARPFORGE, World

OUT = {"o": "/o"}


def broken(
    second: str = "echo two >> /f; echo changed > /text; exit 7", first: str = "echo one > /f"
) -> dict[str, Any]:
    """A plot whose step ``make`` fails in entry 1, behind a step that gives it something, before one that needs it."""
    return plot(
        {
            "before": script("mkdir /o; echo given > /o/x", outputs=OUT),
            "make": script(
                f"set -e; V=kept; {first}",
                second,
                "echo three >> /f; mkdir /o; cp /f /o/f",
                inputs={"/in": "pipe:before:o", "/text": "literal:text", "$WORD": "literal:word"},
                outputs=OUT,
            ),
            "after": script("cat /i/f", inputs={"/i": "pipe:make:o"}),
        },
        {"o": "pipe:make:o"},
    )


def sit(world: World, *args: str) -> pexpect.spawn[str]:
    """Start a command on a terminal of 24 lines and 90 columns."""
    child = pexpect.spawn(
        str(WARPFORGE),
        [*args],
        cwd=str(world.root),
        env={**world.environment(), "TERM": "dumb"},
        timeout=100,
        encoding="utf-8",
        dimensions=(24, 90),
    )
    child.delaybeforesend = 0.1
    return child


@pytest.mark.both
def test_a_step_is_entered_as_its_action_would_find_it(box_world: World) -> None:
    box_world.write("plot.wf", broken())
    lines = "cat /in/x /text; echo $WORD; env | sort; ls /f; pwd"
    said = box_world.run("shell", "plot.wf:make", "--", "sh", "-c", lines)
    assert said.out.splitlines()[:2] == ["given", "textword"]
    assert "HOME=/" in said.out and "SECRET" not in said.out and said.out.endswith("\n/\n")
    logged = ["/".join(entry["step"]) for entry in box_world.run("--json", "log").all("run")]
    assert logged == ["before"]  # what it needs, and no more
    seen = box_world.run("shell", "plot.wf:make", "--at-entry", "1", "--", "sh", "-c", "cat /f")
    assert seen.out == "one\n"
    assert box_world.call("shell", "plot.wf:make", "--", "sh", "-c", "exit 9").exit == 9


def test_standard_input_is_handed_on_and_streams_are_kept_apart(box_world: World) -> None:
    box_world.write("plot.wf", broken())
    done = box_world.run("shell", "plot.wf:before", "--", "sh", "-c", "wc -c; echo err >&2", stdin="x" * 300_000)
    assert (done.out.strip(), done.err.splitlines()[-1]) == ("300000", "err")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["plot.wf"], "invalid-argument"),
        (["plot.wf:none"], "missing"),
        (["plot.wf:make", "--at-entry", "4"], "invalid-argument"),
        (["plot.wf:before", "--", "/bin/none"], "formula-execution-failed"),
        (["--failed"], "missing"),
        (["--failed", "--at-entry", "1"], "invalid-argument"),
        (["nowhere:make"], "missing"),
    ],
)
def test_what_cannot_be_entered(box_world: World, args: list[str], code: str) -> None:
    box_world.write("plot.wf", broken())
    assert box_world.fail("shell", *args).code == code


def test_a_formula_and_an_exec_are_entered_too(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": step({"exec": {"command": ["/bin/false"]}}, {}, {})}))
    assert box_world.run("shell", "plot.wf:s", "--", "echo", "hi").out == "hi\n"
    ran = box_world.fail("run", "plot.wf")
    formula = box_world.run("--json", "log", "s").one("run")["formula"]
    box_world.write("formula.json", {"formula": {"formula.v1": formula}})
    assert box_world.run("shell", "formula.json", "--", "echo", "hi").out == "hi\n"
    assert ran.causes[-1]["details"]["exitCode"] == "1"


def test_an_error_says_the_entry_the_last_lines_and_the_way_in(box_world: World) -> None:
    box_world.write("plot.wf", broken("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; exit 7"))
    failed = box_world.fail("run", "plot.wf")
    details = failed.causes[-1]["details"]
    assert (details["exitCode"], details["entry"]) == ("7", "1")
    assert details["output"].splitlines() == [f"line {n}" for n in range(3, 13)]
    assert details["shell"] == f"warpforge shell --failed {details['run'][:8]}"
    said = box_world.call("--quiet", "run", "plot.wf").err
    assert "in entry 1 (of 0 to 2)" in said and "  | line 12\n" in said and "warpforge shell --failed " in said
    for number, line in enumerate(("kill -9 $$", "sleep 0.1; kill -TERM $$")):
        box_world.write(f"{number}.wf", plot({"s": script("true", line)}))
        details = box_world.fail("run", f"{number}.wf").causes[-1]["details"]
        assert (details["signal"], details["entry"]) == (("9", "15")[number], "1")


@pytest.mark.both
def test_a_failed_box_is_entered_as_it_was_left(box_world: World) -> None:
    box_world.write("plot.wf", broken())
    failed = box_world.fail("run", "plot.wf")
    look = ["--", "sh", "-c", "cat /f /text; echo; echo more >> /f"]
    run = failed.causes[-1]["details"]["run"]
    assert box_world.run("shell", "--failed", *look).out == "one\ntwo\nchanged\n\n"
    assert box_world.run("shell", "--failed", run[:8], *look).out == "one\ntwo\nmore\nchanged\n\n"
    assert box_world.run("shell", "--failed", "make", *look).out == "one\ntwo\nmore\nmore\nchanged\n\n"
    # the ware that the box began with is as it was
    assert box_world.run("shell", "plot.wf:make", "--", "cat", "/text").out == "text"


def kept(world: World) -> list[Path]:
    top = world.path(".warpforge/failed")
    return sorted(top.iterdir()) if top.exists() else []


def test_few_boxes_are_kept_and_gc_takes_them(box_world: World) -> None:
    for number in range(4):
        box_world.write(f"{number}.wf", plot({f"s{number}": script(f"echo {number} > /f; exit 1")}))
        box_world.fail("run", "--keep-failed", "3", f"{number}.wf")
        box_world.fail("run", "--keep-failed", "3", f"{number}.wf")
    assert len(kept(box_world)) == 3
    assert box_world.run("shell", "--failed", "s3", "--", "cat", "/f").out == "3\n"
    assert box_world.fail("shell", "--failed", "s0", "--", "true").code == "missing"
    box_world.fail("run", "--keep-failed", "0", "0.wf")
    assert len(kept(box_world)) == 3
    box_world.run("store", "gc")
    assert kept(box_world) == []


def test_a_success_keeps_nothing_and_an_invalid_output_keeps_its_box(box_world: World) -> None:
    box_world.write("good.wf", plot({"s": script("echo x > /o", outputs=OUT)}))
    box_world.run("run", "good.wf")
    assert kept(box_world) == []
    for name, line in (("missing", "echo x > /x"), ("fifo", "mkdir /o; mkfifo /o/p; echo x > /x")):
        box_world.write(f"{name}.wf", plot({name: script(line, outputs=OUT)}))
        details = box_world.fail("run", f"{name}.wf").causes[-1]["details"]
        assert "shell" in details
        assert box_world.run("shell", "--failed", name, "--", "cat", "/x").out == "x\n"


@pytest.mark.both
def test_a_script_is_taken_up_where_it_failed(box_world: World) -> None:
    box_world.write("plot.wf", broken())
    box_world.fail("run", "plot.wf")
    # it fails again in its old box, and can be taken up once more
    again = box_world.fail("run", "--resume", "plot.wf")
    assert "shell" in again.causes[-1]["details"]
    box_world.write("plot.wf", broken("test $WORD = word; echo mended >> /f"))
    resumed = box_world.run("--json", "run", "--resume", "plot.wf")
    assert "".join(json.loads(line)["output"] for line in resumed.err.splitlines()) == "one\ntwo\ntwo\nmended\nthree\n"
    assert kept(box_world) == []
    entry = next(entry for entry in box_world.run("--json", "log").all("run") if entry["step"] == ["make"])
    assert "memoised" not in entry and any("resumed at entry 1" in why for why in entry["why"])
    # what was resumed is no result to rely on: it runs whole the next time, and the step behind it with it
    whole = box_world.run("--json", "run", "plot.wf")
    hits = {line["step"]: line["hit"] for line in whole.all("finished")}
    assert hits == {"before": True, "make": False, "after": False}
    assert whole.one("plotresults") != resumed.one("plotresults")


def test_set_e_of_an_earlier_entry_holds_and_the_entry_can_be_chosen(box_world: World) -> None:
    box_world.write("plot.wf", broken())
    box_world.fail("run", "plot.wf")
    box_world.write("plot.wf", broken("false; echo never >> /f"))
    assert box_world.fail("run", "--resume", "plot.wf").causes[-1]["details"]["entry"] == "1"
    box_world.run("run", "--resume", "--at-entry", "2", "plot.wf")
    assert box_world.fail("run", "--at-entry", "2", "plot.wf").code == "invalid-argument"


@pytest.mark.parametrize(
    ("change", "why"), [({"first": "echo other > /f"}, "an entry before entry 1 has changed"), ({}, "no entry 5")]
)
def test_a_script_that_cannot_be_taken_up_runs_whole(box_world: World, change: dict[str, str], why: str) -> None:
    box_world.write("plot.wf", broken())
    box_world.fail("run", "plot.wf")
    box_world.write("plot.wf", broken("true", **change))
    more = () if change else ("--at-entry", "5")
    ran = box_world.run("run", "--resume", *more, "plot.wf")
    assert why in ran.err
    assert all(line["hit"] for line in box_world.run("--json", "run", "plot.wf").all("finished"))


@pytest.mark.both
def test_the_shell_has_a_terminal_of_its_own(box_world: World) -> None:
    box_world.write("plot.wf", broken())
    child = sit(box_world, "shell", "plot.wf:make", "--at-entry", "1")
    child.expect("in the box of make, before its action")
    child.expect("/ # ")
    child.sendline("echo $V $WORD $ENV.; cat /f; stty size")
    child.expect("kept word .\r\none\r\n24 90")
    child.sendline("sh -c 'echo sl''eeps; exec sleep 1000'")  # said by the command, not by the echo of its line
    child.expect("sleeps\r\n")
    child.sendintr()  # goes inside, and ends the sleep alone
    child.sendline("echo status $?")
    child.expect("status 130")
    child.sendline("sh -c 'echo sl''eeps; exec sleep 1001'")
    child.expect("sleeps\r\n")
    child.send("\x1a")
    child.expect("Stopped")
    child.sendline("kill %1; wait; jobs; echo gone")
    child.expect("gone\r\n")
    child.setwinsize(13, 70)
    assert wait_until(lambda: bool(child.sendline("stty size")) and child.expect(["13 70", "24 90"]) == 0)
    child.sendline("exec sh -c 'exit 5'")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 5


def test_the_callers_terminal_is_given_back_and_cannot_be_typed_into(box_world: World) -> None:
    box_world.write("plot.wf", broken())
    where, env = str(box_world.root), box_world.environment()
    child = pexpect.spawn("sh", ["-i"], cwd=where, env=env, encoding="utf-8", timeout=100)
    child.sendline(f"before=$(stty -g); {WARPFORGE} shell plot.wf:before; test $before = $(stty -g) && echo same")
    child.expect("/ # ")
    child.sendline("ls -l /proc/self/fd/0; exit")
    child.expect("same\r\n")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()


@pytest.mark.both
def test_two_cannot_be_in_one_failed_box_and_nothing_is_left_of_one_that_is_killed(box_world: World) -> None:
    marker = f"sleep 47{os.getpid()}"
    box_world.write("plot.wf", broken())
    box_world.fail("run", "plot.wf")
    argv = [str(WARPFORGE), "shell", "--failed", "--", *marker.split()]
    with subprocess.Popen(argv, cwd=box_world.root, env=box_world.environment(), stdin=subprocess.DEVNULL) as first:
        assert wait_until(lambda: len(find_by_command(marker.replace(" ", "\0"))) > 1)
        assert box_world.fail("shell", "--failed", "--", "true").causes[-1]["details"]["reason"] == "busy"
        assert len(kept(box_world)) == 1
        first.kill()
        first.wait()
    assert wait_until(lambda: not find_by_command(marker.replace(" ", "\0")))
    assert box_world.run("shell", "--failed", "--", "cat", "/f").out == "one\ntwo\n"


def test_a_box_is_entered_once_whoever_was_in_it_has_cleared_up(box_world: World) -> None:
    """A helper outlives its killed engine for a moment, and what it clears up then is not to be another's."""
    box_world.write("plot.wf", broken())
    box_world.fail("run", "plot.wf")
    (box,) = kept(box_world)
    fd = os.open(box / "layers", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    end = f":{os.fstat(fd).st_ino} 0 EOF"

    def is_waited_for() -> bool:
        lines = Path("/proc/locks").read_text().splitlines()
        return any("->" in line and line.endswith(end) for line in lines)

    argv = [str(WARPFORGE), "shell", "--failed", "--", "cat", "/f"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=box_world.root, env=box_world.environment(), stdin=pipe, stdout=pipe) as entering:
        assert wait_until(is_waited_for)
        os.close(fd)
        assert entering.communicate()[0] == b"one\ntwo\n"


def test_where_no_box_can_be_kept_the_error_is_the_actions(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("exit 3")}))
    box_world.write(".warpforge/failed", "a file where the boxes would lie")
    failed = box_world.fail("run", "plot.wf")
    assert failed.code == "formula-execution-failed"
    assert "shell" not in failed.causes[-1]["details"]
    assert box_world.fail("shell", "--failed").code == "missing"


def test_a_box_with_a_secret_is_never_kept(box_world: World) -> None:
    secret = script("cat /token > /f; exit 3", inputs={"/token": "secret:TOKEN"})
    box_world.write("plot.wf", plot({"s": secret}))
    box_world.write("token", "very-secret-indeed")
    failed = box_world.call("--json", "run", "--secret", "TOKEN=file:token", "plot.wf")
    assert failed.exit == 1 and "very-secret-indeed" not in failed.out + failed.err, str(failed)
    assert kept(box_world) == []
