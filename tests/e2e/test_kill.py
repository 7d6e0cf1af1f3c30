"""kill -9 at the write system calls of ``run``: the same command then gives the same ware, and the store verifies.

Every process of a run counts its own calls, so one number strikes the first process that gets so far: the engine,
the helper that makes the box, or the zygote. WARPFORGE_TEST_EVERY=1 tries every point, otherwise one in many.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ledger
from support.faults import Fault, count, inject, needs_strace
from support.plots import plot, script
from support.world import WARPFORGE, World

from warpforge.pack.packer import scan
from warpforge.store.store import Store
from warpforge.store.verify import verify

EVERY = int(os.environ.get("WARPFORGE_TEST_EVERY", "149"))
PARTS = 4
COMMAND = [str(WARPFORGE), "--json", "--quiet", "run", "plot.wf"]


@pytest.fixture(scope="module")
def clean(busybox: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, list[int]], str]:
    """A prepared world, the write calls of one undisturbed run in it, and what that run printed."""
    needs_strace()
    template = busybox.template  # type: ignore[attr-defined]
    world = World(tmp_path_factory.mktemp("kill"))
    world.adopt(template)
    world.write(
        "plot.wf",
        plot(
            {
                "a": script("mkdir /o", "echo a > /o/x", outputs={"o": "/o"}),
                "b": script("cat /i/x > /o", inputs={"/i": "pipe:a:o"}, outputs={"o": "/o"}),
            },
            {"r": "pipe:b:o"},
        ),
    )
    tried = World(tmp_path_factory.mktemp("undisturbed"))
    tried.adopt(world.root)
    ended, uses = count(COMMAND, below=tried.path(".warpforge"), cwd=tried.root, env=tried.environment())
    assert ended.status == 0, ended
    return world, uses, ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_any_write(clean: tuple[World, dict[str, list[int]], str], tmp_path: Path, part: int) -> None:
    template, uses, wanted = clean
    faults = [Fault(call, "signal=KILL", number) for call, numbers in sorted(uses.items()) for number in numbers]
    assert len(faults) > 60
    chosen = faults[part * EVERY // PARTS :: EVERY] if EVERY > 1 else faults[part::PARTS]
    killed = 0
    for number, fault in enumerate(chosen):
        world = World(tmp_path / str(number))
        world.adopt(template.root)
        struck = inject(COMMAND, fault, cwd=world.root, env=world.environment()).status != 0
        killed += struck
        ledger.count("kill points tried", int(struck))
        again = world.run("--json", "--quiet", "run", "plot.wf")
        assert again.out.splitlines()[-1] == wanted, (fault, again)
        with Store(world.path(".warpforge")) as store:
            assert verify(store, lambda ware, file: scan(file, ware.packtype).ware) == [], fault
        left = world.path(".warpforge/tmp")
        assert not left.is_dir() or not os.listdir(left), fault
        shutil.rmtree(world.path(".."), ignore_errors=True)
    assert killed >= len(chosen) // 2  # of several processes some go on without the one that is struck
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listing
