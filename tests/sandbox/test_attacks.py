"""A hostile action: what it tries, from inside, and what must come of it."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest
from support.both import in_both
from support.boxes import Yard
from support.processes import find_by_command
from support.rootfs import snapshot

from warpforge.errors import WarpforgeError
from warpforge.sandbox.spec import make_mount

pytestmark = in_both

ALLOWED = {"personality-query", "inet", "chmod", "open-not-creating", "mkfifo"}
OTHERWISE = {
    "clone3": {errno.ENOSYS},
    "openat2-setuid": {errno.ENOSYS},
    "x32": {errno.ENOSYS, -31},  # runc's library ends the process
    "vsock": {errno.EAFNOSUPPORT},
    "alg": {errno.EAFNOSUPPORT},
    "packet": {errno.EAFNOSUPPORT},
    "abstract": {errno.ECONNREFUSED},
    "loopback": {errno.ECONNREFUSED},
    "core_pattern": {errno.EROFS, errno.EACCES},
    "swappiness": {errno.EROFS, errno.EACCES},
    "sysrq": {errno.EACCES, errno.EROFS, errno.ENOENT},
    "kcore": {errno.EACCES, errno.EPERM, errno.ENOENT},
    "kmsg": {errno.ENOENT},
    "sys-write": {errno.EROFS},
    "setuid": {errno.EINVAL, errno.EPERM},
    "other-abi": {-31},
}


def test_nothing_gets_out(yard: Yard, attacks: Path) -> None:
    name = f"warpforge-test-{os.getpid()}-{yard.person.name}"
    tree = yard.tree("in", {"a": "b"})
    probe = yard.tree("probe", {"attacks": attacks.read_bytes()})
    (probe / "attacks").chmod(0o755)
    before = snapshot(tree)
    with socket.socket(socket.AF_UNIX) as listener, socket.create_server(("127.0.0.1", 0)) as server:
        listener.bind("\0" + name)
        listener.listen()
        command = ["/probe/attacks", name, str(server.getsockname()[1])]
        mounts = [make_mount("/in", "overlay", tree), make_mount("/probe", "overlay", probe)]
        result = yard.run(command, make_mount("/", "overlay", yard.root), *mounts)
    assert result.outcome.exit_code == 0, result.err
    tried = {line.split()[0]: int(line.split()[1]) for line in result.out.splitlines()}
    assert len(tried) > 50
    wrong = {
        attempt: got
        for attempt, got in tried.items()
        if got not in (OTHERWISE.get(attempt) or ({0} if attempt in ALLOWED else {errno.EPERM}))
    }
    assert not wrong
    assert snapshot(tree) == before


def test_processes_of_the_host_are_not_seen(yard: Yard) -> None:
    result = yard.sh(f"ls /proc | grep -c '^[0-9]'; kill -0 {os.getpid()}; cat /proc/keys")
    assert int(result.out) < 6, "a number of processes, and not one key"
    assert "No such process" in result.err


def test_inputs_on_the_shelf_are_never_written(yard: Yard) -> None:
    tree = yard.tree("input", {"a": "one", "d/b": "two", "gone/c": "three"})
    lone = yard.tree("lone", {"file": "four"}) / "file"
    before = snapshot(yard.root), snapshot(tree), snapshot(lone.parent)
    script = """
    echo more >> /in/a; chmod 700 /in/d/b; rm -r /in/gone; mkdir /in/gone; touch -d @1 /in/d; mv /in/d /in/e
    ln /in/a /in/hard; echo z > /in/hard; echo more >> /file; chmod 0 /file
    rm -rf /bin/* /etc; echo done
    """
    result = yard.sh(
        script, make_mount("/in", "overlay", tree), make_mount("/file", "file", lone), gathers=["/in", "/file"]
    )
    assert result.out == "done\n", result.err
    assert result.names(0) == ["", "a", "e", "e/b", "gone", "hard"]
    assert result.content("a") == b"z\n"
    assert result.trees[1][0].content == b"fourmore\n"
    assert (snapshot(yard.root), snapshot(tree), snapshot(lone.parent)) == before


@pytest.mark.parametrize("target", ["/../../{yard}/canary", "{yard}/canary", "../../../../../../{yard}/canary"])
def test_a_mount_point_behind_a_symlink_stays_inside(yard: Yard, target: str) -> None:
    canary = yard.tree("canary", {"a": "b"})
    before = snapshot(canary)
    (yard.own_root() / "pkg").symlink_to(
        target.format(yard=str(yard.path).lstrip("/") if ".." in target else str(yard.path))
    )
    yard.shelve(yard.root)
    tree = yard.tree("input", {"x": "y"})
    result = yard.sh(
        "cat /pkg/deep/x; echo evil > /pkg/evil", make_mount("/pkg/deep", "overlay", tree), gathers=["/pkg/deep"]
    )
    assert result.out == "y"
    assert result.content("x") == b"y"
    assert snapshot(canary) == before


@pytest.mark.parametrize("name", ["proc", "dev", "sys"])
def test_a_ware_whose_proc_is_a_symlink_is_refused(yard: Yard, name: str) -> None:
    canary = yard.tree("canary", {"a": "b"})
    before = snapshot(canary)
    (yard.own_root() / name).symlink_to(canary)
    yard.shelve(yard.root)
    with pytest.raises(WarpforgeError) as caught:
        yard.sh("echo no")
    assert caught.value.code == "warpforge-error-sandbox-unsafe"
    assert caught.value.details == {"reason": "mountpoint", "path": f"/{name}"}
    assert snapshot(canary) == before


def test_a_file_in_the_way_of_a_mount_point_is_refused(yard: Yard) -> None:
    tree = yard.tree("input", {"x": "y"})
    for at in ("/etc/hello", "/etc/hello/below"):
        with pytest.raises(WarpforgeError) as caught:
            yard.sh("echo no", make_mount(at, "overlay", tree))
        assert caught.value.details["path"] == at


def test_a_daemon_neither_survives_nor_changes_what_is_gathered(yard: Yard) -> None:
    marker = f"31536{os.getpid()}"
    script = f"""
    mkdir /out
    (setsid sh -c 'trap "" TERM HUP INT QUIT; while :; do echo x >> /out/log; done' {marker} >/dev/null 2>&1 &)
    (setsid sleep {marker} &)
    while [ ! -s /out/log ]; do :; done
    """
    result = yard.sh(script, gathers=["/out"])
    assert result.outcome.exit_code == 0
    assert result.names() == ["", "log"]
    assert not find_by_command(marker)


def test_killing_everything_inside_is_a_failed_action(yard: Yard) -> None:
    assert yard.sh("kill -9 -1; kill -9 $$").outcome.exit_code != 0
    outcome = yard.sh("kill -SEGV $$").outcome
    assert (outcome.exit_code, outcome.signal, outcome.exec_error) == (139, 11, "")


def test_an_action_that_stops_itself_is_ended_by_the_deadline(yard: Yard) -> None:
    outcome = yard.sh("kill -STOP $$; echo no", deadline=0.5, gathers=["/etc"]).outcome
    assert (outcome.stopped, outcome.signal, outcome.gathered) == ("time", 9, ())
    assert outcome.seconds < 30


def test_two_boxes_do_not_see_each_other(yard: Yard) -> None:
    """X13: neither by path nor by pid; and each has its own upper layer."""
    tree = yard.tree("input", {"a": ""})
    results = {}

    def run(name: str) -> None:
        script = f"echo {name} >> /in/a; sleep 0.3; cat /in/a; ls /proc | grep -c '^[0-9]'; ls /dev/shm"
        results[name] = yard.sh(script, make_mount("/in", "overlay", tree)).out.split()

    if not yard.person.is_caller:  # its worker is one process with one thread
        for name in ("one", "two"):
            run(name)
    else:
        threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results["one"][0] == "one" and results["two"][0] == "two"
    assert len(results["one"]) == len(results["two"]) == 2
