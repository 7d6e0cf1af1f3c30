"""Where groups can be made: thought about real machines' own words, and tried on this one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from warpforge.sandbox.cgroup import PREFIX, Group, find_places, list_candidates, make_group, sweep
from warpforge.sandbox.work import find_start_time

UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
OLD = (
    "31 24 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "32 24 0:28 / /sys/fs/cgroup/pids rw,relatime shared:10 - cgroup cgroup rw,pids\n"
    "33 24 0:29 / /sys/fs/cgroup/unified rw,relatime shared:11 - cgroup2 cgroup2 rw\n"
)
CONTAINER = "900 890 0:26 /docker/abc /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"


def candidates(mountinfo: str, own: str) -> list[tuple[int, str, str]]:
    return [(place.version, place.counter, place.directory) for place in list_candidates(mountinfo, own)]


def test_a_users_scope_under_systemd() -> None:
    own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n"
    found = [directory for _, counter, directory in candidates(UNIFIED, own) if counter == "memory"]
    base = "/sys/fs/cgroup/user.slice/user-1000.slice"
    assert found[:3] == [
        f"{base}/user@1000.service/app.slice/run-r1.scope",
        f"{base}/user@1000.service/app.slice",
        f"{base}/user@1000.service",
    ]
    assert found[-1] == "/sys/fs/cgroup"
    assert {version for version, _, _ in candidates(UNIFIED, own)} == {2}


def test_the_old_kind_beside_the_new() -> None:
    own = "8:pids:/\n4:memory:/jobs/7\n1:name=systemd:/x\n0::/\n"
    found = candidates(OLD, own)
    assert found[:2] == [(1, "memory", "/sys/fs/cgroup/memory/jobs/7"), (1, "memory", "/sys/fs/cgroup/memory")]
    assert (1, "pids", "/sys/fs/cgroup/pids") in found
    assert found[-1] == (2, "pids", "/sys/fs/cgroup/unified")


def test_a_container_that_sees_a_part_of_the_tree() -> None:
    assert candidates(CONTAINER, "0::/docker/abc/inner\n")[0][2] == "/sys/fs/cgroup/inner"
    assert candidates(CONTAINER, "0::/docker/abc\n") == [(2, c, "/sys/fs/cgroup") for c in ("memory", "pids")]


@pytest.mark.parametrize("text", ["", "1 2 0:3 / / rw - ext4 /dev/sda rw\n"])
def test_a_machine_without(text: str) -> None:
    assert candidates(text, "0::/\n") == []
    assert make_group({}, {"memory": 1 << 30}).kept == {}


def test_groups_are_made_removed_and_swept_here() -> None:
    places = find_places()
    if not places:
        pytest.skip("no group can be made here by this user")
    group = make_group(places, {"memory": 100_000_000, "pids": 30})
    assert group.kept.keys() == places.keys()
    assert all(os.path.isdir(directory) for directory in group.directories)
    group.remove()
    assert not any(os.path.exists(directory) for directory in group.directories)
    left = Group()
    space = os.stat("/proc/self/ns/pid").st_ino
    for place in places.values():
        gone, mine = (
            f"{PREFIX}{pid}-{since}-{space}-aabbcc"
            for pid, since in ((4194303, 1), (os.getpid(), find_start_time(os.getpid())))
        )
        for name in (gone, mine):
            os.makedirs(f"{place.directory}/{name}", exist_ok=True)
        left.directories.append(f"{place.directory}/{mine}")
        sweep(places)
        assert not os.path.exists(f"{place.directory}/{gone}"), "its engine is no more"
        assert os.path.isdir(f"{place.directory}/{mine}"), "its engine runs"
    left.remove()


def test_an_engine_of_another_container_leaves_ours_alone() -> None:
    """Containers that see the same groups, but not each other's processes."""
    places = find_places()
    if not places or os.geteuid() != 0:
        pytest.skip("no group can be made here by this user, or no PID namespace")
    group = make_group(places, {"pids": 30})
    program = "from warpforge.sandbox.cgroup import *; places = find_places(); sweep(places); print(len(places))"
    argv = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program]
    swept = subprocess.run(argv, capture_output=True, text=True)
    assert swept.stdout == f"{len(places)}\n", swept.stderr
    assert all(os.path.isdir(directory) for directory in group.directories)
    long_ago = 0
    for directory in group.directories:
        os.utime(directory, (long_ago, long_ago))
    subprocess.run(argv, check=True, capture_output=True)
    assert not any(os.path.exists(directory) for directory in group.directories)
