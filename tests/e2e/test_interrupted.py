"""A signal at the lines of a command: one error and exit 130, or it was done already; nothing is left of it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import ledger
from support.interrupting import OURS, Ended, Rig, fresh
from support.plots import plot, script
from support.world import WARPFORGE, World

MORE = 40 if "WARPFORGE_TEST_EVERY" in os.environ else 1  # times as many lines
THREADS = ("pack/frames.py", "threading.py")


def check_ended(ended: Ended) -> None:
    """It ended as one that was interrupted, or was already done."""
    assert not ended.hung and ended.left == [], ended
    errors = [json.loads(line) for line in ended.err.splitlines()]
    if ended.status in (0, -signal.SIGINT):  # it was done, or had not begun
        assert errors == [], ended
    else:
        assert ended.status == 130, ended
        assert [error["code"] for error in errors] == ["warpforge-error-interrupted"], ended


class Sweep:
    """One command, in fresh copies of a prepared directory; ``gives``: what two runs of it say alike."""

    def __init__(self, rig: Rig, template: Path, work: Path, argv: list[str], gives: Callable[[str], object]) -> None:
        self._rig = rig
        self._template = template
        self._work = work
        self._argv = argv
        self._gives = gives
        wanted = rig.run(argv, fresh(template, work))
        assert wanted.status == 0, wanted
        self._wanted = gives(wanted.out)

    def go(self, tries: int, *, files: tuple[str, ...] = OURS, times: int = 1) -> None:
        """Strike it at so many of its lines, spread evenly."""
        run = self._rig.run
        run(
            self._argv, fresh(self._template, self._work), at=-2, files=files
        )  # what is loaded late is there from now on
        places = run(self._argv, fresh(self._template, self._work), at=-2, files=files).places
        assert len(places) > tries
        interrupted = 0
        for at in places[:: max(1, len(places) // (tries * MORE))]:
            ended = run(self._argv, fresh(self._template, self._work), at=at, files=files, times=times)
            check_ended(ended)
            interrupted += ended.status != 0
            again = run(self._argv, self._work)
            assert again.status == 0 and self._gives(again.out) == self._wanted, (ended, again)
            for room in ("tmp", "roots", "partial"):
                directory = self._work / ".warpforge" / room
                assert not directory.exists() or os.listdir(directory) == [], ended
        assert interrupted > tries // 2
        ledger.count("lines interrupted", interrupted)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(World(tmp_path_factory.mktemp("rig")).environment()) as rig:
        yield rig


def results(out: str) -> list[object]:
    """Of a plot, and of its steps."""
    return [json.loads(line)["plotresults"] for line in out.splitlines() if line.startswith('{"plotresults"')]


@pytest.mark.parametrize("times", [1, 2])
def test_threads_that_pack_are_being_started(rig: Rig, world: World, tmp_path: Path, times: int) -> None:
    world.root_workspace()
    world.write("noise", random.Random(1).randbytes(5 << 19))
    sweep = Sweep(rig, world.root, tmp_path / "struck" / "work", ["--json", "ware", "pack", "noise"], str)
    sweep.go(10 // times, files=THREADS, times=times)


def test_a_tree_of_many_files_is_fetched(rig: Rig, world: World, tmp_path: Path) -> None:
    world.root_workspace()
    for number in range(300):
        world.write(f"many/{number % 7}/{number}", "x" * number)
    ware = world.run("ware", "pack", "--to", world.path("far"), "many").out.strip()
    argv = ["--json", "ware", "fetch", ware, str(world.path("far"))]
    sweep = Sweep(rig, world.root, tmp_path / "struck" / "work", argv, lambda out: re.findall('ztar:[^"]*', out))
    sweep.go(6)


def test_a_plot_is_run(rig: Rig, box_world: World, tmp_path: Path) -> None:
    step = script("mkdir /o", "echo a > /o/x", outputs={"o": "/o"})
    box_world.write("plot.wf", plot({"a": step}, {"r": "pipe:a:o"}))
    sweep = Sweep(rig, box_world.root, tmp_path / "struck" / "work", ["--json", "run", "plot.wf"], results)
    sweep.go(6)


def test_a_job_is_run(world: World, tmp_path: Path) -> None:
    world.write("polytope.yml", "modules: [{id: hello, code: '#pt-clj (do (pt/log \"hello\") {:said 1})'}]\n")
    with Rig(world.environment(), program="pt") as rig:
        gives = lambda out: re.findall('"hello"', out) != []  # noqa: E731
        Sweep(rig, world.root, tmp_path / "struck" / "work", ["--json", "run", "hello"], gives).go(4)


def test_who_listened_has_gone(world: World) -> None:
    """Its status is that of an interrupt, also when it cannot be told any more."""
    read, write = os.pipe()
    os.close(read)
    world.root_workspace()
    with open(world.path("hole"), "wb") as file:
        file.truncate(1 << 40)
    argv = [str(WARPFORGE), "ware", "pack", "hole"]
    with subprocess.Popen(argv, cwd=world.root, env=world.environment(), stderr=write) as running:
        os.close(write)
        while not any(world.path(".warpforge").glob("tmp/*/*")):
            assert running.poll() is None
            time.sleep(0.005)
        running.send_signal(signal.SIGTERM)
    assert running.returncode == 130
