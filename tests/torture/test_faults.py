"""C03, C04: system calls that fail: each kind of write, once and from then on, with every error a disk can give.

After each: one error and no traceback, or success; nothing acknowledged is lost; the same command then succeeds.
WARPFORGE_TEST_EVERY=1 (`make torture`) tries every call, error and place; otherwise a few of each command.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support import ledger
from support.faults import Ended, Fault, count, inject, needs_strace
from support.scenes import SCENES, Stage
from support.world import WARPFORGE, World

ALL = os.environ.get("WARPFORGE_TEST_EVERY") == "1"
CALLS = (
    *(
        "openat",
        "mkdir",
        "write",
        "pwrite64",
        "fsync",
        "fdatasync",
        "rename",
        "renameat2",
        "link",
        "unlink",
        "unlinkat",
    ),
    *("ftruncate", "fchmod", "utimensat", "rmdir", "msync"),
)
ERRORS = {
    "EIO": "io",
    "ENOSPC": "full",
    "EDQUOT": "full",
    "EROFS": "readonly",
    "EMFILE": "io",
    "EINTR": "io",
    "ENOMEM": "io",
}
STATUSES = (0, 1, 2, 3, 4, 130)
FEW = 3


def faults(uses: dict[str, list[int]], turn: int) -> list[tuple[Fault, str]]:
    """Every place once with each of the two common errors, and in the middle every error, once and from there on.

    Of interrupted calls a storm of ten: for whoever is interrupted for ever there is nothing to be done.
    """
    found = []
    for call, numbers in uses.items():
        for number in numbers:
            found += [(Fault(call, "error=EIO", number), "EIO"), (Fault(call, "error=ENOSPC", f"{number}+"), "ENOSPC")]
        middle = numbers[len(numbers) // 2]
        for error in ERRORS:
            storm = error == "EINTR"
            for when in (f"{middle}..{middle + 10}",) if storm else (str(middle), f"{middle}+"):
                found.append((Fault(call, f"error={error}", when), error))
    if ALL:
        return found
    step = max(1, len(found) // FEW)
    return found[turn % step :: step]


def told_properly(ended: Ended, error: str) -> None:
    """P4: one error in JSON, with a code, a fitting exit status and no traceback; or success."""
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.status in STATUSES, ended
    errors = [line for line in ended.stderr.splitlines() if line.startswith('{"code"')]
    if ended.status == 0:
        assert not errors, ended
        return
    if not errors:  # not even standard error could be written to
        assert ended.stderr == "", ended
        return
    assert len(errors) == 1, ended
    innermost = json.loads(errors[0])
    while "cause" in innermost:
        innermost = innermost["cause"]
    assert innermost["message"], ended
    if innermost["code"] == "warpforge-error-store":
        assert innermost["details"]["reason"] in (ERRORS[error], "io", "corrupt"), ended


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if ALL or not (scene.rare or scene.heavy)])
def test_c03_c04_calls_that_fail(name: str, tmp_path: Path) -> None:
    needs_strace()
    stage = Stage(SCENES[name], tmp_path)
    world = stage.copy()
    ended, uses = count(
        stage.argv(world), CALLS, below=world.root, main_only=["openat"], cwd=world.root, env=world.environment()
    )
    assert ended.status == 0, ended
    stage.drop(world)
    failed = 0
    for fault, error in faults(uses, list(SCENES).index(name)):
        world = stage.copy()
        ended = inject(stage.argv(world), fault, cwd=world.root, env=world.environment())
        ledger.count("failing calls tried")
        failed += ended.status != 0
        try:
            told_properly(ended, error)
            stage.after_fault(world, ended.stdout, succeeded=ended.status == 0)
            stage.after_again(world)
        except AssertionError as wrong:
            raise AssertionError(f"{fault}: {wrong}\n{ended}") from wrong
        stage.drop(world)
    assert failed, "no fault was ever felt"


def test_c03_an_error_that_cannot_be_written_at_first_is_told_once(tmp_path: Path) -> None:
    needs_strace()
    world = World(tmp_path)
    world.root_workspace()
    ended = inject(
        [WARPFORGE, "--json", "ware", "ls", "ztar:" + "1" * 44],
        Fault("write", "error=EIO", 1),
        cwd=world.root,
        env=world.environment(),
    )
    (line,) = ended.stderr.splitlines()
    assert json.loads(line)["code"] == "warpforge-error-missing", ended


def test_c04_a_failed_fsync_condemns_the_file(tmp_path: Path) -> None:
    """The kernel forgets: a second fsync would succeed, and what it was asked about is gone."""
    needs_strace()
    stage = Stage(SCENES["ware pack"], tmp_path)
    world = stage.copy()
    ended, uses = count(stage.argv(world), ["fsync"], below=world.root, cwd=world.root, env=world.environment())
    stage.drop(world)
    for number in uses["fsync"] if ALL else {uses["fsync"][0], uses["fsync"][-1]}:
        world = stage.copy()
        fault = Fault("fsync", "error=EIO", number)
        ended = inject(stage.argv(world), fault, cwd=world.root, env=world.environment())
        warehouse = world.path(".warpforge/warehouse")
        there = [path for path in warehouse.rglob("*") if path.is_file()]
        if ended.status == 0:
            assert there, fault
        else:
            assert json.loads(ended.stderr)["details"]["reason"] == "io", ended
        if number == uses["fsync"][0]:
            assert ended.status == 4 and there == [], ended
        stage.after_again(world)
        stage.drop(world)
