"""Few descriptors, odd environments, no inodes: every main command works, or says one thing that is wrong."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.faults import needs_strace
from support.plots import plot, script
from support.world import WARPFORGE, World

from warpforge.model.atoms import WareId
from warpforge.store.layout import packed

STEPS = {
    name: script(f"mkdir /out; echo {name} > /out/x; cp -a /out /out2", outputs={"o": "/out", "p": "/out2"})
    for name in ("a", "b", "c", "d")
}


def commands(world: World) -> list[tuple[str, ...]]:
    """What people do, in an order in which all of it works."""
    world.write("plot.wf", plot(STEPS, {"r": "pipe:a:o"}))
    for number in range(200):
        world.write(f"tree/{number % 7}/{number}", str(number))
    return [
        ("run", "-j", "4", "plot.wf"),
        ("run", "plot.wf"),
        ("ware", "pack", "-t", "tar", "tree"),
        ("ware", "pack", "--to", "shelf", "tree"),
        ("ware", "show", "tree"),
        ("status",),
        ("log",),
        ("check", "plot.wf"),
        ("catalog", "ls"),
        ("mirror", "ls"),
        ("mirror", "push", "--to", "shelf", "-j", "8"),
        ("store", "stats"),
        ("store", "verify", "--deep"),
        ("store", "gc", "--max-size", "1G"),
        ("run", "plot.wf"),
    ]


def under(world: World, shell: str, env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """A command as a shell starts it."""
    line = f'{shell} exec "$@"'
    return subprocess.run(
        ["sh", "-c", line, "sh", str(WARPFORGE), *args],
        cwd=world.root,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
    )


def do_all(world: World, shell: str, env: dict[str, str]) -> None:
    for args in commands(world):
        done = under(world, shell, env, *args)
        assert done.returncode == 0, f"{args}: {done.stderr}"
        assert "Traceback" not in done.stderr
    assert world.run("store", "verify", "--deep").exit == 0
    assert not list(world.path(".warpforge/tmp").iterdir())


@pytest.mark.both
def test_few_descriptors_a_closed_umask_no_home_and_no_temporary_directory(box_world: World) -> None:
    """R01 R03: 64 descriptors, umask 077, HOME unset, TMPDIR missing, stdin closed."""
    env = {**box_world.environment(), "TMPDIR": "/nonexistent"}
    del env["HOME"]
    do_all(box_world, "umask 077; ulimit -n 64; exec 0<&-;", env)


@pytest.mark.both
def test_an_open_umask_and_a_home_that_cannot_be_written(box_world: World) -> None:
    """R03: umask 000, HOME below a file, a TMPDIR that lets nothing be executed (a file system without that right)."""
    env = {**box_world.environment(), "HOME": "/dev/null/x", "TMPDIR": "/proc"}
    do_all(box_world, "umask 000;", env)
    for path in box_world.path(".warpforge").rglob("*"):
        inside_a_ware = "cache" in path.relative_to(box_world.path(".warpforge")).parts
        assert path.is_symlink() or inside_a_ware or not path.lstat().st_mode & 0o002, f"{path} is open to everybody"


@pytest.mark.both
@pytest.mark.parametrize(
    ("shell", "status"),
    [("exec >/dev/full;", 4), ("exec >&-;", 0), ("exec >&- 2>&-;", 0)],
    ids=["full", "closed", "both-closed"],
)
def test_output_that_goes_nowhere(box_world: World, shell: str, status: int) -> None:
    """R03: a full disk behind stdout is an error, a closed stdout is a wish."""
    box_world.write("plot.wf", plot({"a": script("true")}))
    for args in (
        ("store", "stats"),
        ("mirror", "ls", "ztar:abcdefghi"),
        ("ware", "show", "."),
        ("store", "gc", "--dry-run", "-v"),
    ):
        done = under(box_world, shell, box_world.environment(), *args)
        silent = not box_world.run(*args).out
        assert done.returncode == (0 if silent else status), f"{args}: {done.stderr}"
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
        assert done.stderr.count("error:") == (done.returncode == 4)


@pytest.mark.both
def test_a_reader_that_leaves_early(box_world: World) -> None:
    """R03: EPIPE."""
    for number in range(3000):
        box_world.write(f"tree/{number}", "")
    script_ = 'set -o pipefail; "$@" | head -n 1'
    for args in (
        ("ware", "show", "tree"),
        ("--json", "ware", "show", "tree"),
        ("ware", "ls", box_world.run("ware", "pack", "tree").out.strip()),
    ):
        done = subprocess.run(
            ["bash", "-c", script_, "bash", str(WARPFORGE), *args],
            cwd=box_world.root,
            env=box_world.environment(),
            capture_output=True,
            text=True,
        )
        assert done.stderr == "", args
        assert done.returncode in (0, 130), args
        assert len(done.stdout.splitlines()) == 1


@pytest.mark.both
def test_a_working_directory_that_is_gone(world: World) -> None:
    """R03."""
    world.root_workspace()
    for args in (
        ("run", "plot.wf"),
        ("store", "stats"),
        ("status",),
        ("ware", "pack", "x"),
        ("mirror", "ls"),
        ("store", "gc"),
    ):
        world.path("gone").mkdir()
        done = subprocess.run(
            ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", str(WARPFORGE), *args],
            cwd=world.path("gone"),
            env=world.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 3, f"{args}: {done.stderr}"
        assert done.stderr.startswith("error: the working directory no longer exists") or args[1:] == ("pack", "x")


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of few inodes can only be mounted by root")
def test_no_inode_is_left(box_world: World) -> None:
    """R05: one error of the code store (full), nothing half done, garbage can still be collected; then it works."""
    internal = box_world.path(".warpforge")
    box_world.write(
        "plot.wf", plot({"s": script("mkdir /o", "for i in 1 2 3; do echo $i > /o/$i; done", outputs={"o": "/o"})})
    )
    for number in range(3):
        box_world.write("trash/x", str(number))
        box_world.run("ware", "pack", "trash")
    inside = (
        f"cp -a {internal} {internal}.kept && mount -t tmpfs -o size=64m,nr_inodes=$1 none {internal}"
        f" && cp -a {internal}.kept/. {internal}"
        f" && {WARPFORGE} --json run plot.wf; echo status $?; ls {internal}/memos {internal}/tmp 2>/dev/null;"
        f" {WARPFORGE} store gc; echo gc $?; {WARPFORGE} store verify --deep; echo verify $?;"
        f" mount -o remount,nr_inodes=10000 {internal} && {WARPFORGE} --json --quiet run plot.wf; echo status $?"
    )
    used = sum(1 for _ in internal.rglob("*")) + 2
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", inside, "sh", str(used + 3)],
        cwd=box_world.root,
        env=box_world.environment(),
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert done.stdout.count("status 4\n") == 1 and '"reason":"full"' in done.stderr, said
    assert "gc 0\n" in done.stdout and "verify 0\n" in done.stdout, said
    assert done.stdout.endswith("status 0\n"), said


# R04 R06: work grows with what there is to do, and not faster; counted in system calls, for time is no proof


def calls(world: World, *args: str) -> int:
    """The system calls of one command that succeeded."""
    needs_strace()
    trace = world.path("trace")
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=%file,%desc", "-o", trace, str(WARPFORGE), *args],
        cwd=world.root,
        env=world.environment(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    with trace.open("rb") as lines:
        return sum(1 for _ in lines)


def fake_wares(world: World, begin: int, end: int) -> None:
    """Files that have names of wares."""
    for number in range(begin, end):
        ware = WareId("ztar", f"{number * 7919 % 100003:06}fake{number}")
        path = Path(packed(str(world.path(".warpforge/warehouse")), ware))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_start_does_not_look_at_every_ware(world: World) -> None:
    """R04: what a command does that needs no list of wares does not depend on how many there are."""
    world.root_workspace()
    world.write("tree/x", "x")
    world.run("ware", "pack", "tree")
    few = [calls(world, *args) for args in (("status",), ("ware", "pack", "tree"))]
    fake_wares(world, 0, 2000)
    many = [calls(world, *args) for args in (("status",), ("ware", "pack", "tree"))]
    assert all(abs(after - before) < 300 for before, after in zip(few, many, strict=True)), (few, many)


def test_collecting_garbage_is_linear(world: World) -> None:
    """R04: twice the wares, twice the calls."""
    world.root_workspace()
    fake_wares(world, 0, 100)
    world.run("store", "gc")  # makes the index
    counted = []
    for number in (300, 600, 900):
        fake_wares(world, 0, number)
        counted.append(calls(world, "store", "gc"))
    first, second = counted[1] - counted[0], counted[2] - counted[1]
    assert 0.7 < second / first < 1.3, counted


def test_unpacking_and_deleting_a_tree_is_linear(world: World) -> None:
    """R06."""
    world.root_workspace()
    unpacked, deleted = [], []
    for number in (300, 600, 900):
        for name in range(number):
            world.write(f"tree{number}/{name % 20}/{name}", str(name))
        ware = world.run("ware", "pack", f"tree{number}").out.strip()
        unpacked.append(calls(world, "ware", "unpack", "--path", f"out{number}", ware))
        deleted.append(calls(world, "ware", "unpack", "--force", "--path", f"out{number}", ware))
    for counted in (unpacked, deleted):
        first, second = counted[1] - counted[0], counted[2] - counted[1]
        assert 0.6 < second / first < 1.5, counted
