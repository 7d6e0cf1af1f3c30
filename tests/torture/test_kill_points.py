"""kill -9 at the write system calls of every command that changes the store or a catalog.

After each: what was acknowledged is there and verifies, nothing torn has a final name, and the same command does the
rest. WARPFORGE_TEST_EVERY=1 (`make torture`) tries every single point, otherwise a few of each command.
(`run` has its own: tests/e2e/test_kill.py; the store alone: tests/store/test_crash.py; catalogs: tests/catalog/.)
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support import ledger
from support.faults import WRITES, count, inject, needs_strace, points
from support.scenes import SCENES, Stage

EVERY = int(os.environ.get("WARPFORGE_TEST_EVERY", "0"))
FEW = 2  # points of each command, when not all
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if EVERY or not scene.rare])
def test_killed_at_any_write(name: str, tmp_path: Path) -> None:
    needs_strace()
    stage = Stage(SCENES[name], tmp_path)
    world = stage.copy()
    ended, uses = count(
        stage.argv(world), WRITES, below=world.root, main_only=["openat"], cwd=world.root, env=world.environment()
    )
    assert ended.status == 0, ended
    stage.drop(world)
    faults = list(points(uses, "signal=KILL"))
    chosen = faults[:: EVERY or max(1, len(faults) // FEW)]
    killed = 0
    for fault in chosen:
        world = stage.copy()
        ended = inject(stage.argv(world), fault, cwd=world.root, env=world.environment())
        # of several processes the same number may strike another first: then the command fails, and says so
        killed += ended.status in KILLED or (SCENES[name].at_once and ended.status != 0)
        ledger.count("kill points tried", int(ended.status in KILLED))
        try:
            stage.after_fault(world, ended.stdout, succeeded=ended.status == 0)
            stage.after_again(world)
        except AssertionError as error:
            raise AssertionError(f"{fault}: {error}\n{ended}") from error
        stage.drop(world)
    assert killed >= len(chosen) // 2
