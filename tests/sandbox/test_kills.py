"""Killed at any moment, nothing of a run stays: no process, no mount, no file."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.both import in_both
from support.boxes import Yard, hold_box
from support.processes import find_by_command, find_descendants, is_alive, wait_until

pytestmark = in_both

SCRIPT = """
mkdir -p /out/deep; echo x > /out/deep/f; chmod 0 /out/deep
(setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 0.01; done' {marker} &)
echo started; sleep {marker}
"""
ROLES = ("zygote", "helper", "watcher", "init", "back-end")  # runc has gone by then: its place has the action


class Engine:
    """A process of its own that runs one box."""

    def __init__(self, yard: Yard) -> None:
        self.marker = str(random.randrange(10**8, 10**9))
        self._yard = yard
        script = SCRIPT.format(marker=self.marker)
        self.process = yard.person.popen(hold_box, str(yard.tmp), str(yard.root), script, yard.backend)
        self.seen: set[int] = set()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_started(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == b"started\n"

    def look(self) -> list[int]:
        """Everything below it now."""
        found = find_descendants(self.pid)
        self.seen.update(found)
        return found

    def is_gone(self) -> bool:
        return not any(is_alive(pid) for pid in self.seen) and not find_by_command(self.marker)

    def leftovers(self) -> list[str]:
        """Files below tmp; the name of a work directory, empty, is debris that a next start finds."""
        return [str(path) for run in self._yard.tmp.iterdir() for path in run.rglob("*")]

    def finish(self) -> str:
        assert self.process.stdout
        out = self.process.stdout.read().decode()
        self.process.wait()
        return out


@pytest.fixture
def engine(yard: Yard) -> Iterator[Engine]:
    made = Engine(yard)
    yield made
    made.process.kill()
    made.process.wait()
    assert made.process.stdout
    made.process.stdout.close()
    for path in yard.tmp.iterdir():
        path.rmdir()  # fails unless it is empty


def mounts(yard: Yard) -> list[str]:
    """Those at or of this yard: tests beside this one mount what they need."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(yard.path) in line]


def test_the_engine_killed_while_the_action_runs(yard: Yard, engine: Engine) -> None:
    before = mounts(yard)
    engine.wait_started()
    assert len(engine.look()) >= len(ROLES)
    os.kill(engine.pid, signal.SIGKILL)
    assert wait_until(engine.is_gone)
    assert wait_until(lambda: not engine.leftovers())
    assert wait_until(lambda: not yard.leftovers())
    assert mounts(yard) == before


@pytest.mark.parametrize("moment", range(6))
def test_the_engine_killed_at_a_random_moment(yard: Yard, engine: Engine, moment: int) -> None:
    until = time.monotonic() + random.uniform(0.0, 0.06) * (moment + 1)
    wait_until(lambda: bool(engine.look()), 10)  # from the birth of the zygote on
    while time.monotonic() < until:
        engine.look()
    os.kill(engine.pid, signal.SIGKILL)
    assert wait_until(engine.is_gone)
    assert wait_until(lambda: not engine.leftovers())


@pytest.mark.parametrize("role", range(len(ROLES)), ids=ROLES)
def test_each_process_in_turn_killed(yard: Yard, engine: Engine, role: int) -> None:
    engine.wait_started()
    below = engine.look()
    os.kill(below[role], signal.SIGKILL)
    out = engine.finish()
    # with init goes the action
    is_action = ROLES[role] == "init" or (ROLES[role], yard.backend) == ("back-end", "runc")
    assert out.startswith("outcome 137" if is_action else "error warpforge-error-sandbox-unavailable"), out
    assert wait_until(engine.is_gone)
    assert wait_until(lambda: not yard.leftovers())


def test_interrupted(yard: Yard, engine: Engine) -> None:
    """Ctrl-C: the engine alone gets it, and ends the box before it goes on."""
    engine.wait_started()
    engine.look()
    os.kill(engine.pid, signal.SIGINT)
    assert engine.finish() == "interrupted\n"
    assert wait_until(engine.is_gone)
    assert not yard.leftovers()


def test_a_stopped_engine_still_ends_with_its_box(yard: Yard, engine: Engine) -> None:
    engine.wait_started()
    engine.look()
    os.kill(engine.pid, signal.SIGSTOP)
    os.kill(engine.pid, signal.SIGKILL)
    assert wait_until(engine.is_gone)


def test_a_new_zygote_comes_after_one_that_died(yard: Yard) -> None:
    assert yard.sh("echo one").out == "one\n"
    owner = os.getpid() if yard.person.is_caller else None
    if owner is None:
        return
    zygotes = [pid for pid in find_descendants(owner) if pid in find_by_command("warpforge.sandbox.zygote")]
    for pid in zygotes:
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]
    assert yard.sh("echo two").out == "two\n"


def test_the_box_ends_when_nobody_reads_its_output(yard: Yard) -> None:
    """A reader that goes away is an error of the engine, not a hang."""
    result = yard.sh("yes", output_limit=1000)
    assert (result.outcome.stopped, len(result.out)) == ("output", 1000)
