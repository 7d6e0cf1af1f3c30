"""Volumes of several processes at once; what is in them is tried with containers."""

from __future__ import annotations

import os
import threading
from contextlib import closing, suppress
from pathlib import Path

from support.containers import until

from warpforge.errors import Missing, Unable
from warpforge.fsx.locks import Lock
from warpforge.fsx.remove import remove_tree
from warpforge.polytope.containers.volumes import Volumes
from warpforge.polytope.spec import VolumeSource


def make(path: Path) -> Volumes:
    return Volumes(path / "project", path / "job", lambda left: remove_tree(-100, os.fsencode(left)))


def awaited(lock: Path) -> int:
    """How many wait for a lock."""
    wanted = f":{lock.stat().st_ino} "
    return sum("->" in line and wanted in line for line in Path("/proc/locks").read_text().splitlines())


def test_one_that_was_removed_while_others_waited_for_it(tmp_path: Path) -> None:
    source = VolumeSource("v", "project")
    with closing(make(tmp_path)) as first:
        (first.open(source, "", lambda new: None) / "old").touch()
    found: list[list[str]] = []

    def remove() -> None:
        with suppress(Missing, Unable):  # there is none any more; or there is one again, which is used
            make(tmp_path).remove("v")

    def reopen() -> None:
        with closing(make(tmp_path)) as volumes:
            found.append(os.listdir(volumes.open(source, "", lambda new: None)))

    threads = [threading.Thread(target=work) for work in (remove, reopen)]
    lock = tmp_path / "project" / "v" / "lock"
    with Lock(lock):
        for thread in threads:
            thread.start()
        until(lambda: awaited(lock) == 2)
        (tmp_path / "project" / "v").rename(tmp_path / "project" / ".gone-v")
    for thread in threads:
        thread.join()
    assert found == [[]]
