"""A signal at the lines of a command: one error and exit 130, or it was done already; nothing is left of it."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ledger
from support.interrupting import OURS, Ended, Rig, fresh
from support.world import World

EVERY = "WARPFORGE_TEST_EVERY" in os.environ


def check_ended(ended: Ended) -> None:
    """It ended as one that was interrupted, or was already done."""
    assert not ended.hung and ended.left == [], ended
    errors = [json.loads(line) for line in ended.err.splitlines()]
    if ended.status in (0, -signal.SIGINT):  # it was done, or had not begun
        assert errors == [], ended
    else:
        assert ended.status == 130, ended
        assert [error["code"] for error in errors] == ["warpforge-error-interrupted"], ended


def sweep(rig: Rig, template: Path, work: Path, argv: list[str], *, files: tuple[str, ...] = OURS, tries: int) -> None:
    """Strike a command at ``tries`` of its lines, spread evenly, or at each."""
    wanted = rig.run(argv, fresh(template, work))
    assert wanted.status == 0, wanted
    rig.run(argv, fresh(template, work), at=-2, files=files)  # what is loaded late is there from now on
    places = rig.run(argv, fresh(template, work), at=-2, files=files).places
    assert len(places) > tries
    interrupted = 0
    for at in places if EVERY else places[:: len(places) // tries]:
        ended = rig.run(argv, fresh(template, work), at=at, files=files)
        check_ended(ended)
        interrupted += ended.status != 0
        again = rig.run(argv, work)
        assert (again.status, again.out) == (0, wanted.out), (ended, again)
        left = [name for room in ("tmp", "roots", "partial") for name in _list(work / ".warpforge" / room)]
        assert left == [], ended
    assert interrupted > tries // 2
    ledger.count("lines interrupted", interrupted)


def _list(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.exists() else []


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    world = World(tmp_path_factory.mktemp("rig"))
    with Rig(world.environment()) as rig:
        yield rig


def test_threads_that_pack_are_being_started(rig: Rig, world: World, tmp_path: Path) -> None:
    world.root_workspace()
    world.write("noise", random.Random(1).randbytes(5 << 19))
    argv = ["--json", "ware", "pack", "noise"]
    sweep(rig, world.root, tmp_path / "struck" / "work", argv, files=("pack/frames.py", "threading.py"), tries=24)
