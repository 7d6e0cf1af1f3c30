"""What is refused, and how: one error with its code, its exit code, and what to do; nothing half-written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import Any

import pytest
from support.plots import BUSYBOX, plot, script
from support.world import WARPFORGE, World

pytestmark = pytest.mark.both

GHOST = "ware:ztar:9999999999999999999999999999999999999999999"


def refused(world: World, document: dict[str, Any], code: str, status: int) -> str:
    """Run a document that must be refused; gives the innermost message."""
    world.write("plot.wf", document)
    failed = world.fail("run", "plot.wf")
    assert (failed.code, failed.exit) == (code, status), str(failed)
    spoken = world.call("run", "plot.wf")
    assert (spoken.exit, spoken.out) == (status, "")
    assert spoken.err.count("error:") == 1, str(spoken)
    return str(failed.causes[-1]["message"])


CASES: dict[str, tuple[dict[str, Any], str, int, str]] = {
    "ware": (plot({"s": script("true", inputs={"/in": GHOST})}), "missing", 3, GHOST[5:]),
    "catalog entry": (
        plot({"s": script("true")}, inputs={"x": "catalog:a.org/b:v1:c", "y": "catalog:d.org/e:v2:f"}),
        "catalog-missing-entry",
        3,
        "a.org/b:v1:c",
    ),
    "step": (plot({"s": script("true", inputs={"/in": "pipe:nope:o"})}), "plot-invalid", 2, "nope"),
    "label": (plot({"s": script("true", inputs={"/in": "pipe::nope"})}), "plot-invalid", 2, "nope"),
    "output of a step": (plot({"s": script("true")}, {"o": "pipe:s:nope"}), "plot-invalid", 2, "nope"),
    "output": (plot({"s": script("true", outputs={"o": "/nope"})}), "output-invalid", 1, "/nope"),
    "cycle": (
        plot(
            {
                "a": script("true", inputs={"/i": "pipe:b:o"}, outputs={"o": "/o"}),
                "b": script("true", inputs={"/i": "pipe:a:o"}, outputs={"o": "/o"}),
            }
        ),
        "plot-invalid",
        2,
        "a -> b -> a",
    ),
    "mount": (plot({"s": script("true", inputs={"/i": "mount:ro:nowhere"})}), "missing", 3, "nowhere"),
    "ingest": (plot({"s": script("true")}, inputs={"i": "ingest:dir:nowhere"}), "missing", 3, "nowhere"),
    "repository": (plot({"s": script("true")}, inputs={"i": "ingest:git:nowhere:HEAD"}), "missing", 3, "nowhere"),
    "candidate": (
        plot({"s": script("true")}, inputs={"i": "candidate:a.org/b:v1:c"}),
        "catalog-missing-entry",
        3,
        "a.org/b",
    ),
    "packtype": (
        plot({"s": script("true", outputs={"o": {"from": "/bin", "packtype": "git"}})}),
        "formula-invalid",
        2,
        "git",
    ),
    "filter": (
        plot({"s": script("true", outputs={"o": {"from": "/bin", "packtype": "tar", "filters": {"colour": "red"}}})}),
        "formula-invalid",
        2,
        "colour",
    ),
    "interpreter": (
        plot(
            {
                "s": {
                    "protoformula": {
                        "inputs": {"/": "pipe::rootfs"},
                        "action": {"script": {"interpreter": "/bin/nope", "contents": ["true"]}},
                        "outputs": {},
                    }
                }
            }
        ),
        "formula-execution-failed",
        1,
        "/bin/nope",
    ),
    "symlink as an output": (
        plot({"s": script("ln -s /etc/passwd /o", outputs={"o": "/o"})}),
        "output-invalid",
        1,
        "symlink",
    ),
    "fifo in an output": (
        plot({"s": script("mkdir /o", "mkfifo /o/f", outputs={"o": "/o"})}),
        "output-invalid",
        1,
        "fifo",
    ),
    "huge variable": (
        plot({"s": script("true", inputs={"$X": "literal:" + "x" * 200_000})}),
        "formula-invalid",
        2,
        "long",
    ),
    "a place of the engine's": (
        plot({"s": script("true", inputs={"/proc/x": "literal:x"})}),
        "sandbox-unsafe",
        4,
        "/proc/x",
    ),
    "a ware for a variable": (
        plot({"a": script("echo x > /o", outputs={"o": "/o"}), "s": script("true", inputs={"$X": "pipe:a:o"})}),
        "plot-invalid",
        2,
        "$X",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_says_what_and_what_to_do(box_world: World, name: str) -> None:
    document, code, status, word = CASES[name]
    assert word in refused(box_world, document, code, status)
    assert_tidy(box_world)


def assert_tidy(world: World) -> None:
    """Nothing half-written: no memo, no debris, a store that verifies."""
    internal = world.path(".warpforge")
    memos = internal / "memos"
    for memo in memos.iterdir() if memos.is_dir() else ():
        assert memo.suffix == ".json"
    tmp = internal / "tmp"
    assert not tmp.is_dir() or not [*tmp.iterdir()]


def test_all_missing_entries_are_told_together(box_world: World) -> None:
    document, code, status, _ = CASES["catalog entry"]
    assert "d.org/e:v2:f" in refused(box_world, document, code, status)


def test_a_ware_whose_bytes_are_others_is_set_aside(box_world: World) -> None:
    ware = box_world.path(".warpforge/warehouse/ztar")
    (packed,) = [p for p in ware.rglob("*") if p.is_file()]
    other = box_world.write("other/bin/sh", "not the same")
    wrong = box_world.run("ware", "pack", other.parent.parent).out.strip()
    (stored,) = [p for p in ware.rglob(wrong.removeprefix("ztar:")) if p.is_file()]
    packed.chmod(0o644)
    shutil.copy(stored, packed)
    shutil.rmtree(box_world.path(".warpforge/cache"), ignore_errors=True)
    box_world.write("plot.wf", plot({"s": script("true")}))
    failed = box_world.fail("run", "plot.wf")
    assert (failed.code, failed.exit) == ("ware-mismatch", 1)
    assert not packed.exists()
    assert [*box_world.path(".warpforge/quarantine").iterdir()]


def run_without(world: World, *programs: str) -> subprocess.CompletedProcess[str]:
    """Run the plot on a machine that lacks these programs."""
    unshared = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    hide = " && ".join(f"mount --bind /dev/null {shutil.which(program)}" for program in programs)
    return subprocess.run(
        [*unshared, "sh", "-c", f"{hide} && exec {WARPFORGE} --json run plot.wf"],
        cwd=world.root,
        env=world.environment(),
        capture_output=True,
        text=True,
    )


def test_a_machine_that_makes_no_boxes_is_told_what_to_install(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}))
    done = run_without(box_world, "bwrap", "runc")
    assert done.returncode == 4, done.stderr
    assert '"warpforge-error-sandbox-unavailable"' in done.stderr
    assert '"warpforge-error-executor-failed"' in done.stderr
    assert "bubblewrap" in done.stderr


def test_a_machine_without_bwrap_uses_runc_and_says_so(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}))
    done = run_without(box_world, "bwrap")
    assert done.returncode == 0, done.stderr
    assert [run["sandbox"] for run in box_world.run("--json", "log").all("run")] == ["runc"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can only be mounted by root")
def test_a_full_disk_is_one_error_and_room_makes_it_work(box_world: World) -> None:
    box_world.write(
        "plot.wf", plot({"s": script("head -c 8000000 /dev/urandom > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"})
    )
    internal = box_world.path(".warpforge")
    inside = (
        f"cp -a {internal} {internal}.kept && mount -t tmpfs -o size=4m none {internal}"
        f" && cp -a {internal}.kept/. {internal}"
        f" && {WARPFORGE} --json run plot.wf; echo status $?; ls {internal}/memos {internal}/tmp 2>/dev/null;"
        f" mount -o remount,size=64m {internal} && {WARPFORGE} --json --quiet run plot.wf; echo status $?"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", inside],
        cwd=box_world.root,
        env=box_world.environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("status 4\n") == 1, done.stdout + done.stderr
    assert done.stdout.count("status 0\n") == 1, done.stdout + done.stderr
    assert '"reason":"full"' in done.stderr
    assert "zM5K" not in done.stdout.split("status 4")[1].split('{"runrecord"')[0]


def test_an_interrupt_stops_everything_and_the_next_run_works(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("echo begun; sleep 77.25", "echo x > /o", outputs={"o": "/o"})}))
    for number, how in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
        running = subprocess.Popen(
            [str(WARPFORGE), "--json", "run", "plot.wf"],
            cwd=box_world.root,
            env=box_world.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stderr
        assert "begun" in running.stderr.readline()
        running.send_signal(how)
        _, said = running.communicate(timeout=100)
        assert running.returncode == 130, said
        assert said.count('"code"') - said.count('"cause"') == 1, said
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert "sleep 77.25" not in listing
        assert_tidy(box_world)
        assert len(box_world.run("--json", "log").all("run")) == number + 1
    box_world.write("plot.wf", plot({"s": script("echo x > /o", outputs={"o": "/o"})}))
    box_world.run("run", "plot.wf")


def test_a_killed_engine_leaves_nothing_and_the_next_run_works(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("echo begun; sleep 78.25")}))
    running = subprocess.Popen(
        [str(WARPFORGE), "--json", "run", "plot.wf"],
        cwd=box_world.root,
        env=box_world.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr
    assert "begun" in running.stderr.readline()
    running.kill()
    running.communicate()
    until = time.monotonic() + 60
    while "sleep 78.25" in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout:
        assert time.monotonic() < until, "the action outlived its engine"
        time.sleep(0.01)
    box_world.write("plot.wf", plot({"s": script("echo x > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"}))
    box_world.run("run", "plot.wf")
    assert_tidy(box_world)


@pytest.mark.parametrize(
    ("argv", "status", "code"),
    [
        (["bogus"], 2, "invalid-argument"),
        (["run", "--nope"], 2, "invalid-argument"),
        (["run", "nowhere.wf"], 3, "missing"),
        (["run", "-j", "0"], 2, "invalid-argument"),
        (["ware", "unpack", "nonsense"], 2, "wareid-invalid"),
        (["ware", "unpack", "--path", "x", "ztar:abcdefgh"], 3, "missing"),
        (["ware", "pack", "nowhere"], 3, "missing"),
        (["ware", "pack", "-t", "nope", "."], 2, "invalid-argument"),
        (["ware", "pack", "--filters", "uid=0,uid=1", "."], 2, "invalid-argument"),
        (["ware", "scan", "nowhere.tar"], 3, "missing"),
        (["ware", "show", "tar:4z9DCTxoKkStqXQRwtf9nimpfQQ36dbndDsAPCQgECfbXt3edanUrsVKCjE9TkX2v9"], 3, "missing"),
        (["check", "nowhere.wf"], 3, "missing"),
        (["check", "."], 3, "missing"),
        (["id", "module.wf"], 2, "invalid-argument"),
        (["catalog", "init", "../x"], 2, "catalog-name"),
        (["catalog", "init", "test"], 1, "already-exists"),
        (["catalog", "show", "a.org/b"], 3, "catalog-missing-entry"),
        (["catalog", "-n", "nope", "add", "tar", "a.org/b:v1:c", "x.tar"], 3, "missing"),
        (["catalog", "add", "tar", "not a ref", "x.tar"], 2, "catalog-name"),
        (["quickstart", "Bad Name"], 2, "catalog-name"),
        (["quickstart", "good.org/name"], 1, "already-exists"),
    ],
)
def test_wrong_arguments(box_world: World, argv: list[str], status: int, code: str) -> None:
    box_world.write("module.wf", {"module.v1": {"name": "example.org/m"}})
    failed = box_world.fail(*argv)
    assert (failed.code, failed.exit) == (code, status), str(failed)


def test_common_flags_stand_before_and_behind_the_command(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}, inputs={"rootfs": BUSYBOX}))
    before = box_world.run("--json", "--quiet", "run", "plot.wf")
    behind = box_world.run("run", "plot.wf", "--quiet", "--json")
    assert before.out == behind.out
    assert before.err == behind.err == ""


def test_output_that_nobody_takes(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("true")}))
    box_world.run("run", "plot.wf")
    command = f"{WARPFORGE} --json run plot.wf"
    for line, status in ((f"{command} > /dev/full", 4), (f"{command} >&-", 0), (f"{command} <&-", 0)):
        done = subprocess.run(
            ["sh", "-c", line], cwd=box_world.root, env=box_world.environment(), capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr, line
        assert done.returncode == status, (line, done.stderr)
    piped = subprocess.run(
        ["sh", "-c", f"{command} | true"],
        cwd=box_world.root,
        env=box_world.environment(),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in piped.stderr
