"""Hostile actions that take more than they may: S16, S18 to S22. Each is stopped, says by what, and leaves nothing.

Every test runs with cgroups where they can be had, and with the meter alone, as where none can be made.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.both import in_both
from support.boxes import Yard, hold_box
from support.processes import find_by_command, wait_until

from warpforge.errors import WarpforgeError
from warpforge.sandbox.cgroup import PREFIX, find_places

pytestmark = in_both
by_all = pytest.mark.parametrize("cgroups", [True, False], ids=["cgroups", "meter"])

BOMB = "b() { b | b & }; b; sleep 60"
HOGS = {  # a shell whose last command is `sleep` becomes it, and holds nothing any more
    "heap": "x=$(head -c 150000000 /dev/zero | tr '\\0' x); sleep 60; :",
    "many": "for i in 1 2 3 4; do (x=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 60; :) & done; wait",
}


def groups() -> list[str]:
    """The cgroups of ours that there are."""
    found = [name for place in find_places().values() for name in os.listdir(place.directory)]
    return [name for name in found if name.startswith(PREFIX)]


@by_all
def test_s18_a_fork_bomb_is_stopped(yard: Yard, cgroups: bool) -> None:
    result = yard.sh(BOMB, pids_limit=40, cgroups=cgroups)
    assert (result.outcome.stopped, result.outcome.exit_code) == ("pids", 137)
    keeper = result.outcome.facts.limits["pids"]
    assert keeper.startswith("40 by cgroup" if cgroups and yard.person.call(find_places) else "40 by meter")


@by_all
@pytest.mark.parametrize("hog", HOGS)
def test_s19_a_memory_hog_is_stopped(yard: Yard, hog: str, cgroups: bool) -> None:
    outcome = yard.sh(HOGS[hog], memory_limit=100_000_000, cgroups=cgroups).outcome
    assert (outcome.stopped, outcome.signal) == ("memory", 9)


def test_s19_shared_memory_counts_and_is_small(yard: Yard) -> None:
    """What lies in /dev/shm is in nobody's address space: it is bounded by itself, and counted where cgroups are."""
    result = yard.sh("dd if=/dev/zero of=/dev/shm/x bs=1M count=200 2>&1; ls -l /dev/shm/x", memory_limit=200_000_000)
    assert "No space left" in result.out
    assert result.outcome.stopped == ""
    assert "No space left" in yard.sh("dd if=/dev/zero of=/dev/x bs=1M count=200 2>&1").out
    both = "for at in shm/x x; do dd if=/dev/zero of=/dev/$at bs=1M count=60 2>&1; done; sleep 1"
    counted = "memory" in yard.person.call(find_places)
    assert yard.sh(both, memory_limit=80_000_000).outcome.stopped == ("memory" if counted else "")


def test_s19_memory_cannot_be_locked(yard: Yard) -> None:
    assert int(yard.sh("ulimit -l").out) <= 8192


def test_s20_a_disk_filler_is_stopped(yard: Yard) -> None:
    one = yard.sh("mkdir /o; dd if=/dev/zero of=/o/x bs=1M count=3000; sleep 60", disk_limit=20_000_000)
    assert one.outcome.stopped == "disk"
    many = yard.sh("mkdir /o; i=0; while :; do i=$((i+1)); echo x > /o/$i; done", disk_limit=2_000_000)
    assert many.outcome.stopped == "disk"


def test_s20_what_is_found_only_at_the_end_counts(yard: Yard) -> None:
    outcome = yard.sh("dd if=/dev/zero of=/x bs=1M count=3 2>/dev/null", disk_limit=2_000_000, gathers=["/etc"]).outcome
    assert (outcome.stopped, outcome.gathered) == ("disk", ())


def test_s20_a_small_disk_is_never_filled(yard: Yard) -> None:
    """Without any limit: some space is left to whoever has to clean up, and inodes."""
    if os.geteuid() != 0 or not yard.person.is_caller:
        pytest.skip("only root can mount a small disk")
    small = yard.path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200M,nr_inodes=9000", "none", small], check=True)
    try:
        os.chown(small, yard.person.uid, yard.person.uid)
        yard.tmp, usual = small, yard.tmp
        filled = yard.sh("dd if=/dev/zero of=/x bs=64k count=100000; sleep 60")
        assert filled.outcome.stopped == "disk"
        files = yard.sh("mkdir /o; i=0; while :; do i=$((i+1)); : > /o/$i; done; sleep 60")
        assert files.outcome.stopped == "disk"
        assert yard.sh("echo fine > /x").outcome.exit_code == 0
    finally:
        yard.tmp = usual
        subprocess.run(["umount", "-l", small], check=True)


def test_s21_endless_output_is_cut_and_ends_the_run(yard: Yard) -> None:
    result = yard.sh("while :; do printf '\\033[31m\\000\\377'; done", output_limit=50_000)
    assert result.outcome.stopped == "output"
    assert result.outcome.truncated
    assert len(result.out.encode("utf-8", "backslashreplace")) >= 50_000


@pytest.mark.parametrize("script", ["while :; do :; done", "sleep 100", "kill -STOP $$", "trap '' 15; read x < /p"])
def test_s22_time_is_up(yard: Yard, script: str) -> None:
    marker = f"27182{os.getpid()}"
    result = yard.sh(f"mkfifo /p; setsid sleep {marker} & {script}", deadline=0.4)
    assert (result.outcome.stopped, result.outcome.signal) == ("time", 9)
    assert not find_by_command(marker)


def test_s16_a_sparse_output_is_not_read_to_its_end(yard: Yard) -> None:
    with pytest.raises(WarpforgeError) as caught:
        yard.sh("mkdir /o; dd if=/dev/zero of=/o/x bs=1M count=1 seek=1000000", gathers=["/o"], gather_limit=64 << 30)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-action-limit", "disk")


@by_all
def test_a_run_inside_its_limits_is_as_any_other(yard: Yard, cgroups: bool) -> None:
    limits = {"memory_limit": 500_000_000, "pids_limit": 50, "disk_limit": 10_000_000, "output_limit": 1000}
    result = yard.sh("ulimit -v; ulimit -d; ulimit -f; (echo a | cat) & wait; echo b > /x", cgroups=cgroups, **limits)
    assert (result.outcome.stopped, result.outcome.exit_code) == ("", 0)
    assert result.out.split() == ["unlimited", "unlimited", "unlimited", "a"], "no limit that a program could mind"
    assert {*result.outcome.facts.limits} == {"time", "memory", "pids", "disk", "output"}


def test_a_group_goes_with_its_run(yard: Yard) -> None:
    yard.sh("true", pids_limit=50, memory_limit=100_000_000)
    assert not [name for name in groups() if f"-{os.getpid()}-" in name]


def test_an_action_does_not_see_its_group(yard: Yard) -> None:
    result = yard.sh("cat /proc/self/cgroup; ls /sys", pids_limit=50)
    assert {line.split(":")[2] for line in result.out.splitlines()} == {"/"}


def test_an_engine_killed_with_a_group_leaves_none(yard: Yard) -> None:
    process = yard.person.popen(hold_box, str(yard.tmp), str(yard.root), "echo started; sleep 100", yard.backend, 50)
    assert process.stdout
    assert process.stdout.readline() == b"started\n"
    mine = [name for name in groups() if name.startswith(f"{PREFIX}{process.pid}-")]
    assert mine or not yard.person.call(find_places)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert wait_until(lambda: not [name for name in groups() if name in mine])
    assert wait_until(lambda: not yard.leftovers())


def test_the_action_is_expendable(yard: Yard) -> None:
    """A process of the box is what the kernel takes first when the machine's memory is gone."""
    assert int(yard.sh("cat /proc/self/oom_score_adj").out) >= 500
    assert int(Path("/proc/self/oom_score_adj").read_text()) < 500
