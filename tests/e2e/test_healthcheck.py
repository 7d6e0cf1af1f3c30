"""``warpforge healthcheck``: what works here, tried for real; and R07, machines that lack what boxes need."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from support.plots import plot, script
from support.world import WARPFORGE, World

pytestmark = pytest.mark.both
NAMESPACE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


def states(text: str) -> dict[str, str]:
    checks: list[dict[str, str]] = json.loads(text)["healthcheck"]["checks"]
    return {check["name"]: check["state"] for check in checks}


def without(world: World, change: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a machine that is changed first, in a mount namespace of its own."""
    return subprocess.run(
        [*NAMESPACE, "sh", "-c", f"{change} && exec {WARPFORGE} --json {' '.join(args)}"],
        cwd=world.root,
        env=world.environment(),
        capture_output=True,
        text=True,
    )


def hide(*programs: str) -> str:
    return " && ".join(f"mount --bind /dev/null {shutil.which(program)}" for program in programs)


def test_here_builds_can_run(world: World) -> None:
    done = world.run("--json", "healthcheck")
    found: dict[str, Any] = done.one("healthcheck")
    assert found["ok"]
    known = states(done.out)
    assert (known["bwrap"], known["runc"], known["overlays"], known["git"], known["clock"]) == ("ok",) * 5
    assert {"memory limit", "pids limit", "store", "disk"} <= known.keys()
    said = world.run("doctor").out
    assert "builds can run here" in said
    assert not list(world.root.rglob("*")), "nothing is left"


def test_in_a_workspace_mirrors_are_looked_at(world: World) -> None:
    world.root_workspace()
    nowhere = "ca+http://127.0.0.1:9/x"
    world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [nowhere, f"ca+file://{world.home}"]})
    checks = world.run("--json", "healthcheck").one("healthcheck")["checks"]
    assert [c["state"] for c in checks if c["name"] == "mirror"] == ["warn", "ok"]
    offline = world.run("--json", "healthcheck", "--offline").one("healthcheck")["checks"]
    assert [c["state"] for c in offline if c["name"] == "mirror"] == ["ok", "ok"]


@pytest.mark.parametrize(("gone", "exit_code"), [(("bwrap",), 0), (("runc",), 0), (("bwrap", "runc"), 4)])
def test_r07_without_a_program(world: World, gone: tuple[str, ...], exit_code: int) -> None:
    done = without(world, hide(*gone), "healthcheck")
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert {name: state for name, state in states(done.stdout).items() if name in ("bwrap", "runc")} == {
        name: "bad" if name in gone else "ok" for name in ("bwrap", "runc")
    }
    assert "apt-get install" in done.stdout


NO_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces"


def test_r07_without_user_namespaces(box_world: World) -> None:
    # in a user namespace of its own, for the setting holds for that one alone
    args = ["unshare", "-rm", "sh", "-c", f"{NO_NAMESPACES} && exec {WARPFORGE} --json"]
    options: dict[str, Any] = {
        "cwd": box_world.root,
        "env": box_world.environment(),
        "capture_output": True,
        "text": True,
    }
    done = subprocess.run([*args[:-1], f"{args[-1]} healthcheck"], **options)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "max_user_namespaces=0" in done.stdout
    box_world.write("plot.wf", plot({"s": script("echo ran")}))
    for sandbox in ("bwrap", "runc", "auto"):
        failed = subprocess.run([*args[:-1], f"{args[-1]} run --sandbox {sandbox} plot.wf"], **options)
        assert failed.returncode == 4, failed.stdout + failed.stderr
        assert '"warpforge-error-sandbox-unavailable"' in failed.stderr
        assert "max_user_namespaces" in failed.stderr, "what to do is said"
        assert "ran" not in failed.stdout


def test_r07_with_a_read_only_cgroup_tree(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("b() { b | b & }; b; sleep 60")}))
    locked = (
        "for m in $(awk '$5 ~ /^.sys.fs.cgroup/ {print $5}' /proc/self/mountinfo); do mount -o remount,bind,ro $m; done"
    )
    done = without(box_world, locked, "healthcheck")
    assert done.returncode == 0
    assert states(done.stdout)["memory limit"] == "warn"
    limited = without(box_world, locked, "run", "--limit", "pids=40", "plot.wf")
    assert limited.returncode == 1, limited.stderr
    assert '"reason":"pids"' in limited.stderr
    assert '"keeper":"meter and rlimit"' in limited.stderr


def test_r07_with_a_masked_proc(box_world: World) -> None:
    """As in many containers: a fresh /proc is refused then, and nothing weaker is made."""
    box_world.write("plot.wf", plot({"s": script("echo ran")}))
    args = ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs none /proc/sys && exec {WARPFORGE} --json run plot.wf"]
    done = subprocess.run(args, cwd=box_world.root, env=box_world.environment(), capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert '"reason":"proc"' in done.stderr
    assert "unmasked /proc" in done.stderr
