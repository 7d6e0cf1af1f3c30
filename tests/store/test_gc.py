"""What a root keeps stays, the rest goes, and a collection that ends anywhere leaves a sound store."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.actor import ENVIRONMENT, TESTS, act, check, make, shelve_text, store_text, ware_of
from support.faults import Fault, count, inject, needs_strace, points

from warpforge.errors import Unable, WarpforgeError
from warpforge.fsx.locks import Lock
from warpforge.model.atoms import WareId
from warpforge.store.collect import collect
from warpforge.store.gc import Plan, Policy, Root, make_plan
from warpforge.store.store import Store
from warpforge.store.verify import verify

DAY = 86400.0
NOW = time.time()
NEVER = Policy(NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def gc(store: Store, *roots: WareId, policy: Policy = NEVER) -> Plan:
    with store.exclusive():
        plan = make_plan(store, [Root(ware, "a root") for ware in roots], policy)
        collect(store, plan)
    return plan


def held(store: Store) -> set[WareId]:
    return {ware for ware, _ in store.warehouse.wares()}


def age(path: str | Path | None, days: float) -> None:
    assert path is not None
    os.utime(path, (NOW - days * DAY, NOW - days * DAY))


def age_all(store: Store, text: str, days: float) -> None:
    ware = ware_of(text)
    for path in (store.warehouse.own, store.layout.cache):
        for directory, _, names in os.walk(path):
            for name in names:
                if name == ware.hash:
                    age(os.path.join(directory, name), days)


def test_what_a_root_keeps_stays_and_the_rest_goes(store: Store) -> None:
    named, garbage, pinned = (store_text(store, text) for text in ("named", "garbage", "pinned"))
    shelve_text(store, "garbage")
    shelve_text(store, "named")
    store.kept.pin(pinned, "mine")
    kept = make(store, "zFormula", "result")
    plan = gc(store, named)
    assert held(store) == {named, pinned, kept}
    assert not store.shelf.has(garbage) and store.shelf.has(named)
    assert store.memo.load("zFormula") is not None
    assert [ware for ware, _ in store.index.wares()] == sorted((named, pinned, kept))
    assert plan.freed > 0 and plan.left == plan.total - plan.freed
    assert plan.explain(named) == ["a root"]
    assert plan.explain(pinned) == ["pinned as mine"]
    assert plan.explain(kept) == ["result of formula zFormula, which is memoised"]
    assert plan.explain(garbage) == []
    assert verify(store, check) == []
    assert not gc(store, named).wares
    store.close()
    assert os.listdir(store.layout.tmp) == []


def test_a_plan_changes_nothing(store: Store) -> None:
    garbage = store_text(store, "garbage")
    assert [stock.ware for stock in make_plan(store, [], NEVER).wares] == [garbage]
    assert held(store) == {garbage}


@pytest.mark.both
def test_nothing_is_left_of_a_ware(store: Store) -> None:
    store_text(store, "garbage")
    shelve_text(store, "garbage")
    shelve_text(store, "garbage", "uid=5")
    gc(store)
    for top in (store.warehouse.own, store.layout.cache):
        assert not [name for _, _, names in os.walk(top) for name in names]
        assert not [d for d, dirs, _ in os.walk(top) if not dirs and len(Path(d).relative_to(top).parts) > 3]
    assert not [name for name in os.listdir(store.layout.locks) if name.startswith(("ware-", "shelf-", "formula-"))]


def test_what_a_formula_was_run_from_stays_with_its_memo(store: Store) -> None:
    source = store_text(store, "source")
    with store.use():
        run = store.runs.begin("zFormula")
        run.entry.inputs = {"/": f"ware:{source}", "$X": "literal:x"}
        run.entry.memoised = True
        run.finish()
    make(store, "zFormula", "result")
    gc(store)
    assert held(store) == {source, ware_of("result")}
    store.memo.forget("zFormula")
    gc(store)
    assert held(store) == set()


def test_keep_for_keeps_the_young_and_forgets_old_memos(store: Store) -> None:
    for text, days in (("young", 1.0), ("old", 9.0)):
        store_text(store, text)
        make(store, f"z{text}", f"result of {text}")
        for each in (text, f"result of {text}"):
            age_all(store, each, days)
        age(store.layout.memo(f"z{text}"), days)
    plan = gc(store, policy=Policy(NOW, keep_for=5 * DAY))
    assert held(store) == {ware_of("young"), ware_of("result of young")}
    assert plan.memos == ["zold"] and list(store.memo.formula_ids()) == ["zyoung"]
    assert plan.explain(ware_of("young")) == ["used within the time that --keep-for says"]


def test_a_memo_whose_result_was_used_lately_is_young(store: Store) -> None:
    make(store, "zFormula", "result")
    age(store.layout.memo("zFormula"), 100)
    gc(store, policy=Policy(NOW, keep_for=5 * DAY))
    assert store.memo.load("zFormula")


def test_a_wrong_clock_deletes_nothing_that_a_root_keeps(store: Store) -> None:
    named = store_text(store, "named")
    kept = make(store, "zFormula", "result")
    for now in (0.0, NOW + 80 * 365 * DAY):
        gc(store, named, policy=Policy(now))
        assert held(store) == {named, kept}
    gc(store, policy=Policy(0.0, keep_for=DAY))
    assert held(store) == {named, kept}, "times in the future count as now"


def test_max_size_drops_trees_first_then_the_oldest(store: Store) -> None:
    size = 1000
    for number in range(4):
        text = f"{number}" * size
        make(store, f"z{number}", text)
        age_all(store, text, 10.0 - number)
        age(store.layout.memo(f"z{number}"), 10.0 - number)
    named = ware_of("0" * size)
    plan = make_plan(store, [Root(named, "a root")], Policy(NOW, max_size=6 * size))
    assert [tree.ware for tree, _ in plan.trees] == [ware_of(f"{number}" * size) for number in (0, 1)]
    assert not plan.wares and not plan.memos and plan.left == 6 * size
    gc(store, named, policy=Policy(NOW, max_size=2 * size))
    assert held(store) == {named, ware_of("3" * size)}, "what is named stays, then the latest"
    assert list(store.memo.formula_ids()) == ["z0", "z3"], "forgetting the memo of what is named would free nothing"
    left = gc(store, named, policy=Policy(NOW, max_size=1)).left
    assert held(store) == {named} and left == size
    assert verify(store, check) == []


def test_a_tree_that_is_the_only_copy_is_no_spare(store: Store) -> None:
    make(store, "zFormula", "result")
    packed = store.warehouse.find(ware_of("result"))
    assert packed is not None
    packed.unlink()
    plan = make_plan(store, [Root(ware_of("result"), "a root")], Policy(NOW, max_size=0))
    assert not plan.trees and not plan.wares


@pytest.mark.parametrize("what", ["memo", "pin", "unreadable"])
def test_a_root_that_cannot_be_read_stops_everything(store: Store, what: str) -> None:
    """X06."""
    garbage = store_text(store, "garbage")
    make(store, "zFormula", "result")
    store.kept.pin(garbage, "mine")
    path = Path(store.layout.pins, "mine") if what == "pin" else Path(store.layout.memo("zFormula"))
    if what == "unreadable":
        path.unlink()
        path.mkdir()
    else:
        path.write_text("{")
    with pytest.raises(Unable) as caught:
        gc(store)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-store", "corrupt")
    assert held(store) == {garbage, ware_of("result")}


def test_roots_from_outside_that_fail_stop_everything(store: Store) -> None:
    garbage = store_text(store, "garbage")

    def roots() -> Iterator[Root]:
        yield Root(ware_of("x"), "a root")
        raise Unable("store", "a catalog cannot be read", reason="corrupt")

    with pytest.raises(Unable), store.exclusive():
        collect(store, make_plan(store, roots(), NEVER))
    assert held(store) == {garbage}


def test_a_user_of_the_store_keeps_the_collector_out(store: Store) -> None:
    with store.use(), pytest.raises(Unable) as caught, store.exclusive():
        pass
    assert caught.value.reason == "busy"


def test_what_a_live_process_pinned_stays_and_what_a_dead_one_did_goes(store: Store) -> None:
    store_text(store, "needed")
    actor = act(store.internal, "stage", "needed")
    with actor:
        assert actor.stdout is not None
        actor.stdout.readline()
        plan = gc(store)
        assert held(store) == {ware_of("needed")}
        assert plan.explain(ware_of("needed")) == ["needed by a running process"]
        actor.send_signal(signal.SIGKILL)
    gc(store)
    assert held(store) == set()


def test_the_pid_of_a_dead_owner_may_be_somebody_elses_now(store: Store) -> None:
    """X12: names hold pids only for people; what nobody holds locked is debris, whoever has the pid now."""
    garbage = store_text(store, "garbage")
    roots = Path(store.layout.roots)
    roots.mkdir(exist_ok=True)
    (roots / f"{os.getpid()}-1-x").write_text(f"{garbage}\n")
    left = Path(store.layout.tmp) / f"{os.getpid()}-x"
    left.mkdir(parents=True)
    (left / "ware").write_bytes(b"x")
    mine = store.staging.directory()
    with store.use():
        pass
    assert not left.exists() and os.path.isdir(mine)
    assert gc(store).wares[0].ware == garbage
    assert list(roots.iterdir()) == []


def test_a_warehouse_that_stands_in_is_not_ours(tmp_path: Path) -> None:
    with Store(tmp_path / "a") as own:
        ours = store_text(own, "ours")
    with Store(tmp_path / "b", warehouse=own.warehouse.own) as store:
        shelve_text(store, "ours")
        gc(store)
        assert held(store) == {ours} and not store.shelf.has(ours)


def test_another_file_system_for_the_warehouse(store: Store, tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here that we may write")
    from tempfile import TemporaryDirectory

    store_text(store, "garbage")
    path = Path(store.warehouse.own)
    with TemporaryDirectory(dir=shm) as elsewhere:
        os.rename(path, path.with_name("old"))
        os.symlink(elsewhere, path)
        for ware_path in path.with_name("old").rglob("*"):
            target = path / ware_path.relative_to(path.with_name("old"))
            target.mkdir(parents=True) if ware_path.is_dir() else target.write_bytes(ware_path.read_bytes())
        assert held(store) == {ware_of("garbage")}
        gc(store)
        assert held(store) == set()


@pytest.mark.both
def test_trees_of_any_depth_and_mode(store: Store) -> None:
    with store.shelf.stage() as staged:
        os.mkdir(staged.path)
        fd = os.open(staged.path, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(1500):
            os.mkdir("d", dir_fd=fd)
            inner = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        os.fchmod(fd, 0)
        os.close(fd)
        os.symlink("/etc", os.path.join(staged.path, "link"))
        os.chmod(staged.path, 0o555)
        store.shelf.commit(staged, ware_of("deep"))
    gc(store)
    assert not store.shelf.has(ware_of("deep"))
    store.close()
    assert os.listdir(store.layout.tmp) == []


def test_locks_that_are_held_stay(store: Store) -> None:
    with store.single_flight("zHeld"), store.single_flight("zFree"):
        pass
    with store.single_flight("zHeld"):
        gc(store)
        assert [name for name in os.listdir(store.layout.locks) if name.startswith("formula")] == ["formula-zHeld"]
    with Lock(store.layout.lock("formula", "zFree"), timeout=0):
        pass


COLLECT = """
import sys, time
from pathlib import Path
from support.actor import ware_of
from warpforge.store.collect import collect
from warpforge.store.gc import Policy, Root, make_plan
from warpforge.store.store import Store
with Store(sys.argv[1]) as store, store.exclusive(5):
    store.sweep()
    collect(store, make_plan(store, [Root(ware_of("named"), "a root")], Policy(time.time(), keep_for=0)))
"""


def test_killed_anywhere_it_leaves_a_sound_store(tmp_path: Path) -> None:
    """X05: kill -9 at each change of the disk; then the same again gives what an undisturbed collection gives."""
    needs_strace()
    number = 0

    def fresh() -> Path:
        nonlocal number
        number += 1
        path = tmp_path / f"{number}"
        with Store(path) as store:
            named = store_text(store, "named")
            for text in ("one", "two"):
                make(store, f"z{text}", text)
                age(store.layout.memo(f"z{text}"), 9)
                age_all(store, text, 9)
            store.kept.pin(named, "mine")
        return path

    def command(path: Path) -> list[str]:
        return [sys.executable, "-c", COLLECT, str(path)]

    first = fresh()
    ended, uses = count(command(first), below=first, env=ENVIRONMENT, cwd=TESTS)
    assert ended.status == 0, ended.stderr
    with Store(first) as store:
        assert held(store) == {ware_of("named")}
    # every change of a name and one of each other kind: all of them take too long here
    chosen = [
        fault for fault in points(uses, "signal=KILL") if fault.call in NAMES or fault.when == uses[fault.call][0]
    ]
    assert len(chosen) >= 10
    for fault in chosen[::3]:
        path = fresh()
        inject(command(path), fault, env=ENVIRONMENT, cwd=TESTS)
        with Store(path) as store:
            assert [f for f in verify(store, check) if f.kind not in ("index",)] == []
            assert ware_of("named") in held(store)
            for formula in store.memo.formula_ids():
                assert ware_of(formula[1:]) in held(store), f"a memo outlived its ware: {fault}"
        again = inject(command(path), Fault("umount2", "error=EPERM", 1), env=ENVIRONMENT, cwd=TESTS)
        assert again.status == 0, again.stderr
        with Store(path) as store:
            assert held(store) == {ware_of("named")}
            assert verify(store, check) == []
        assert os.listdir(path / "tmp") == []


NAMES = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir")


def test_a_full_disk_is_no_obstacle(tmp_path: Path) -> None:
    """Where no directory can be made for the trash, things are deleted where they lie."""
    needs_strace()
    with Store(tmp_path) as store:
        store_text(store, "garbage")
        shelve_text(store, "garbage")
    full = (Fault("mkdir", "error=ENOSPC", "1+"), Fault("pwrite64", "error=ENOSPC", "1+"))
    ended = inject([sys.executable, "-c", COLLECT, str(tmp_path)], *full, env=ENVIRONMENT, cwd=TESTS)
    assert ended.status == 0, ended.stderr
    with Store(tmp_path) as store:
        assert held(store) == set() and not store.shelf.has(ware_of("garbage"))


def test_two_collectors_and_makers_at_once(tmp_path: Path) -> None:
    """X05."""
    makers = [act(tmp_path, "make", f"z{number}", f"text {number}") for number in range(6)]
    with Store(tmp_path) as store:
        while any(maker.poll() is None for maker in makers):
            try:
                with store.exclusive():
                    collect(store, make_plan(store, [], NEVER))
            except WarpforgeError as error:
                assert error.reason == "busy"
        for maker in makers:
            _, err = maker.communicate()
            assert maker.returncode == 0, err
        gc(store)
        for number in range(6):
            assert store.memo.load(f"z{number}") and store.has(ware_of(f"text {number}"))
        assert verify(store, check) == []
