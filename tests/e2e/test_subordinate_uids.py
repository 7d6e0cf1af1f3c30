"""An ordinary user to whom /etc/subuid gives a range: containers of many uids, and what they leave can be removed."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import people
from support.containers import Yard, until
from support.people import USER_UID

from warpforge.fsx.remove import remove_tree
from warpforge.polytope.containers.discarding import Discarder
from warpforge.polytope.containers.volumes import Volumes, volumes_of
from warpforge.polytope.spec import Mount, VolumeSource
from warpforge.sandbox.ids import find_ids

SCRIPT = """
set -e
mount --make-rprivate /
for file in passwd subuid subgid; do
    cp -f /etc/$file "$1/$file" 2>/dev/null || : > "$1/$file"
done
echo "tester:x:$2:$2::/nonexistent:/bin/sh" >> "$1/passwd"
echo "tester:300000:65536" | tee "$1/subuid" > "$1/subgid"
for file in passwd subuid subgid; do
    [ -e /etc/$file ] || exit 77
    mount --bind "$1/$file" /etc/$file
done
shift 2
exec "$@"
"""


def live(path: str) -> None:
    """What such a user does; says what came of it."""
    yard = Yard(Path(path), "bwrap")
    volume = Mount("/v", VolumeSource("v", "project"))
    job = yard.open()
    script = "mkdir /v/d /own; chmod 700 /v/d /own; chown -R web /v/d /own; stat -c %u /v/d /own /srv/index.html"
    print(job.run(script, mounts=(volume,)), job.run("touch /v/d/f; id -u", mounts=(volume,), user="web"))
    print(os.stat(yard.path / "project/.warpforge/volumes/v/data/d").st_uid)
    job.close()
    print(leftovers(yard))
    child = os.fork()
    if child == 0:
        job = yard.open()
        container = job.boxes.spawn(job.spec("mkdir -p /o/o; chmod 700 /o; chown -R web /o; echo up; sleep 60"))
        until(lambda: job.said(container))
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    yard.open().close()
    print(leftovers(yard))
    with yard.engine() as engine:
        discarder = Discarder(engine.box, find_ids(engine.box.owner), Path(engine.store.staging.directory()))
        volumes = Volumes(volumes_of(yard.path / "project"), yard.path, discarder.discard)
        volumes.remove("v")
        print(volumes.list(), os.listdir(volumes_of(yard.path / "project")))


def leftovers(yard: Yard) -> list[str]:
    return [str(path) for path in (yard.path / "project" / ".warpforge" / "tmp").rglob("job-*")]


def test_containers_of_a_user_with_a_range(tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("newuidmap"):
        pytest.skip("needs root, to be such a user, and newuidmap")
    base = Path("/var/tmp") / f"warpforge-subuid-{os.getpid()}"
    base.mkdir(mode=0o755)
    os.chown(base, USER_UID, USER_UID)
    try:
        todo = pickle.dumps((live.__module__, live.__qualname__, (str(base),))).hex()
        argv = [sys.executable, people.__file__, "become", str(USER_UID), "--", "once", todo]
        command = ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(tmp_path), str(USER_UID), *argv]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=100)
        if done.returncode == 77:
            pytest.skip("there is no /etc/subuid to put another in the place of")
        assert done.stdout.splitlines() == [
            "(0, ['101', '101', '101']) (0, ['101'])",
            str(300000 + 100),
            "[]",
            "[]",
            "[] []",
        ], done.stderr
    finally:
        remove_tree(-100, os.fsencode(base), missing_ok=True)
