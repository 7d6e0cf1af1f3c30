"""Z and D cases through the command line: what may not change an id, and documents and memos that are not right.

The other cases stand where their parts are: D01 to D08, D11, D14, D15 in tests/model (test_text, test_schema), D10 in
test_scheduler and tests/plan, Z03 in test_reproduce, Z07 in tests/pack/test_golden. Z05: the suite runs under whatever
Python 3.11 to 3.13 it is started with, and Z07's ids are the same for all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from support.plots import plot, script
from support.world import WARPFORGE, World


def made(world: World, *more: str, env: dict[str, str] | None = None, lead: tuple[str, ...] = ()) -> Any:
    """What a forced run of plot.wf says of its formula and result, started by ``lead`` in this environment."""
    argv = [*lead, str(WARPFORGE), "--json", "run", "--force", *more, "plot.wf"]
    done = subprocess.run(
        argv, cwd=world.root, env=world.environment(env), capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    records = [line["runrecord"] for line in lines if "runrecord" in line]
    return [(record["formulaID"], record["results"]) for record in records]


# everything that a formula's inputs do not say, and that an action could find
LOOK = (
    "mkdir /o",
    "env | grep -v '^_=' | sort > /o/env; umask > /o/umask; hostname > /o/host; pwd > /o/pwd; id > /o/id",
    "date +%Z > /o/zone; ls -la / | awk '{print $1, $3, $4, $9}' > /o/root; ulimit -a > /o/limits; tty > /o/tty; true",
)


def test_z02_what_is_around_the_engine_changes_nothing(box_world: World, tmp_path: Path) -> None:
    box_world.write("plot.wf", plot({"look": script(*LOOK, outputs={"o": "/o"})}, {"o": "pipe:look:o"}))
    usual = made(box_world)
    other_home = tmp_path / "other home"
    other_home.mkdir()
    around = {
        "zone": {"env": {"TZ": "Asia/Kathmandu"}},
        "locale": {"env": {"LANG": "tr_TR.UTF-8", "LC_ALL": "C"}},
        "user": {"env": {"USER": "somebody", "LOGNAME": "somebody", "HOME": str(other_home)}},
        "hashes": {"env": {"PYTHONHASHSEED": "7"}},
        "terminal": {"env": {"TERM": "vt100", "COLUMNS": "20"}},
        "preload": {"env": {"LD_PRELOAD": "/nowhere.so"}},
        "umask": {"lead": ("sh", "-c", 'umask 0077; exec "$@"', "sh")},
        "stdin": {"lead": ("sh", "-c", 'exec "$@" 0<&-', "sh")},
    }
    if shutil.which("taskset"):
        around["cpus"] = {"lead": ("taskset", "-c", str(min(os.sched_getaffinity(0))))}
    if shutil.which("setarch"):
        around["addresses"] = {"lead": ("setarch", "-R")}
    for name, how in around.items():
        assert made(box_world, **how) == usual, name  # type: ignore[arg-type]


@pytest.mark.both
def test_z02_where_the_workspace_is_changes_nothing(box_world: World, tmp_path: Path) -> None:
    box_world.write("plot.wf", plot({"look": script(*LOOK, outputs={"o": "/o"})}, {"o": "pipe:look:o"}))
    usual = made(box_world)
    for place in ("/dev/shm", "/var/tmp"):
        if os.access(place, os.W_OK):
            with tempfile.TemporaryDirectory(prefix="a b,c:d\\", dir=place, ignore_cleanup_errors=True) as directory:
                moved = World(Path(directory))
                moved.adopt(box_world.root)
                assert made(moved) == usual, place


def grow(top: Path, names: list[str], *, sparse: bool, link: bool) -> Path:
    """A tree with the same content, made in one order or another, with holes or without, links or copies."""
    top.mkdir()
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            if sparse:
                file.truncate(200_000)
            else:
                file.write(bytes(200_000))
            file.seek(100_000)
            file.write(b"data")
    twin = top / "twin"
    if link:
        os.link(top / "b/file", twin)
    else:
        shutil.copyfile(top / "b/file", twin)
    for path in (top, *top.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return top


@pytest.mark.both
@pytest.mark.parametrize("packtype", ["ztar", "tar"])
def test_z01_how_a_tree_came_to_be_changes_no_id(world: World, tmp_path: Path, packtype: str) -> None:
    world.root_workspace()
    names = [f"{directory}/{name}" for directory in "abc" for name in ("file", "other", "-third")]
    places = [str(tmp_path), *(place for place in ("/dev/shm", "/var/tmp") if os.access(place, os.W_OK))]
    found = set()
    for number, place in enumerate(places):
        with tempfile.TemporaryDirectory(dir=place) as directory:
            order = names if number % 2 else names[::-1]
            before = os.umask(0o077 if number % 2 else 0)
            try:
                tree = grow(Path(directory, "tree"), order, sparse=bool(number % 2), link=not number % 2)
            finally:
                os.umask(before)
            os.utime(tree / "a/file", (number * 1000, number * 1000 + 5))
            try:
                os.setxattr(tree / "a/file", "user.note", b"%d" % number)
            except OSError:
                pass  # not every file system has them
            found.add(world.run("ware", "pack", "--packtype", packtype, tree).out)
    assert len(found) == 1


def test_z04_the_compressor_changes_no_id(world: World, tmp_path: Path) -> None:
    world.root_workspace()
    tree = grow(tmp_path / "tree", ["a/file", "b/file"], sparse=False, link=False)
    ware = world.run("ware", "pack", "--packtype", "tar", tree).out.strip()
    plain = tmp_path / "plain.tar"
    subprocess.run(
        ["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@1262304000", "-cf", plain, "."],
        cwd=tree,
        check=True,
    )
    packed = {"plain": plain.read_bytes()}
    for name, command in {
        "fast": ["zstd", "-1", "-c"],
        "slow": ["zstd", "-19", "-c"],
        "threads": ["zstd", "-T2", "-c"],
        "gzip": ["gzip", "-c"],
        "xz": ["xz", "-c"],
    }.items():
        if shutil.which(command[0]):
            packed[name] = subprocess.run([*command, plain], capture_output=True, check=True).stdout
    assert len(set(packed.values())) == len(packed)
    for name, data in packed.items():
        path = tmp_path / f"{name}.archive"
        path.write_bytes(data)
        assert ware in world.run("ware", "scan", "--packtype", "tar", path).out.split(), name


@pytest.mark.both
def test_z06_a_run_that_was_killed_and_done_again_gives_the_same(box_world: World) -> None:
    steps = {"a": script("echo a > /o", outputs={"o": "/o"})}
    steps["b"] = script("cat /i > /o; echo begun; sleep $(cat /d/time); echo b >> /o", outputs={"o": "/o"})
    steps["b"]["protoformula"]["inputs"] |= {"/i": "pipe:a:o", "/d": "mount:ro:delay"}
    box_world.write("plot.wf", plot(steps, {"o": "pipe:b:o"}))
    box_world.write("delay/time", "100")
    with subprocess.Popen(
        [str(WARPFORGE), "--json", "run", "plot.wf"],
        cwd=box_world.root,
        env=box_world.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "begun" in process.stderr.readline()
        process.send_signal(signal.SIGKILL)
    box_world.write("delay/time", "0")
    after = box_world.run("--json", "--quiet", "run", "plot.wf").all("plotresults")
    assert box_world.run("--json", "--quiet", "run", "--force", "plot.wf").all("plotresults") == after


def test_z08_time_is_no_part_of_a_result(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("echo x > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"}))
    first, second = (box_world.run("--json", "run", "--force", "plot.wf").one("runrecord") for _ in range(2))
    assert first["guid"] != second["guid"]
    assert [first[key] for key in ("formulaID", "exitcode", "results")] == [
        second[key] for key in ("formulaID", "exitcode", "results")
    ]
    memo = box_world.path(f".warpforge/memos/{first['formulaID']}.json")
    memo.write_text(json.dumps({**second, "time": 1, "guid": "of-another-time"}))
    assert box_world.run("--json", "run", "plot.wf").one("finished")["hit"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: b"{",
        lambda record: b"",
        lambda record: json.dumps({**record, "formulaID": "z" + record["formulaID"][:0:-1]}).encode(),
        lambda record: json.dumps({**record, "exitcode": 1}).encode(),
        lambda record: json.dumps({**record, "results": {}}).encode(),
        lambda record: json.dumps({**record, "results": {**record["results"], "more": "literal:x"}}).encode(),
        lambda record: json.dumps({**record, "results": {"o": "ware:tar:-"}}).encode(),
    ],
)
def test_d16_a_memo_that_is_not_right_is_set_aside_and_run_again(box_world: World, spoil: Any) -> None:
    box_world.write("plot.wf", plot({"s": script("echo x > /o", outputs={"o": "/o"})}, {"o": "pipe:s:o"}))
    record = box_world.run("--json", "run", "plot.wf").one("runrecord")
    memo = box_world.path(f".warpforge/memos/{record['formulaID']}.json")
    data = spoil(record)
    memo.write_bytes(data)
    again = box_world.run("run", "plot.wf")
    assert "ok    s" in again.err
    kept = [*box_world.path(".warpforge/quarantine").glob("memo-*")] if b"tar:-" not in data else []
    assert [path.read_bytes() for path in kept] == ([data] if b"tar:-" not in data else [])
    assert again.err.count("the memo of") == len(kept)
    assert json.loads(memo.read_bytes())["results"] == record["results"]
    assert "memo  s" in box_world.run("run", "plot.wf").err


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("$A", "x\0y", "plot-invalid"),
        ("$A=B", "x", "plot-invalid"),
        ("$BIG", "x" * (3 << 20), "formula-invalid"),
    ],
)
def test_d13_an_environment_that_cannot_be(box_world: World, name: str, value: str, code: str) -> None:
    box_world.write("plot.wf", plot({"s": script("true", inputs={name: f"literal:{value}"})}))
    failed = box_world.fail("run", "plot.wf")
    assert (failed.code, failed.exit) == (code, 2)


def test_d13_variables_that_steer_a_loader_reach_the_action_alone(box_world: World) -> None:
    inputs = {"$LD_PRELOAD": "literal:/nowhere.so", "$PYTHONPATH": "literal:/nowhere", "$ENV": "literal:/nowhere"}
    box_world.write("plot.wf", plot({"s": script("echo $LD_PRELOAD > /o", inputs=inputs, outputs={"o": "/o"})}))
    box_world.run("run", "plot.wf")


def test_d10_a_diamond_of_pipes_and_subplots_is_linear(box_world: World) -> None:
    """Thirty levels, each with two pipes from the one before: 2^30 ways, 31 steps; the same once more as subplots."""
    text = {"script": {"interpreter": "/bin/sh", "contents": ["X=1"]}}
    gather = {"x": {"from": "$X"}}

    def level(n: int) -> dict[str, Any]:
        inputs = {f"${side}": f"pipe:s{n - 1}:x" if n else "literal:0" for side in "AB"}
        return {"protoformula": {"inputs": {"/": "pipe::rootfs", **inputs}, "action": text, "outputs": gather}}

    nested: dict[str, Any] = {
        "inputs": {"rootfs": "pipe::rootfs", "a": "pipe:s29:x", "b": "pipe:s29:x"},
        "steps": {"in": level(0)},
        "outputs": {"x": "pipe:in:x"},
    }
    nested["steps"]["in"]["protoformula"]["inputs"] |= {"$A": "pipe::a", "$B": "pipe::b"}
    for _ in range(30):
        ports = {"rootfs": "pipe::rootfs", "a": "pipe::a", "b": "pipe::b"}
        nested = {
            "inputs": {**nested["inputs"]},
            "steps": {"in": {"plot": {**nested, "inputs": ports}}},
            "outputs": {"x": "pipe:in:x"},
        }
    steps = {**{f"s{n}": level(n) for n in range(30)}, "deep": {"plot": nested}}
    box_world.write("plot.wf", plot(steps, {"x": "pipe:deep:x"}))
    assert box_world.run("--json", "--quiet", "run", "plot.wf").all("plotresults")[-1] == {"x": "literal:1"}
