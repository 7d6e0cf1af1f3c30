"""Many processes at once, and stores that cannot be written."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from msgspec import Raw
from support.actor import act, check, make, shelve_text, store_text, ware_of
from support.people import list_people
from support.reachable import reachable

from warpforge.errors import Failed, Unable
from warpforge.model.atoms import WareId
from warpforge.store.failed import FailedBox
from warpforge.store.store import Store
from warpforge.store.verify import verify

MANY = 32


def test_many_processes_ask_for_one_formula_and_one_runs_it(tmp_path: Path) -> None:
    """X02, and X01: they would all store the same ware."""
    actors = [act(tmp_path, "make", "zFormula", "text") for _ in range(MANY)]
    for actor in actors:
        out, err = actor.communicate()
        assert (actor.returncode, out.strip()) == (0, str(ware_of("text"))), err
    with Store(tmp_path) as store:
        assert len(list(store.runs.entries())) == 1
        assert [ware for ware, _ in store.warehouse.wares()] == [ware_of("text")]
        assert verify(store, check) == []
        assert store.index.ware(ware_of("text")) is not None
    assert os.listdir(tmp_path / "tmp") == []


def test_many_processes_store_the_same_and_other_wares(tmp_path: Path) -> None:
    """X01 X03: half of them the same ware, and somebody verifies all the time."""
    actors = [act(tmp_path, "store", "same" if number % 2 else f"text {number}") for number in range(MANY)]
    with Store(tmp_path) as store:
        damage = []
        while any(actor.poll() is None for actor in actors):
            damage += verify(store, check)
    for actor in actors:
        _, err = actor.communicate()
        assert actor.returncode == 0, err
    assert damage == []
    with Store(tmp_path) as store:
        assert len(list(store.warehouse.wares())) == MANY // 2 + 1
        assert len(list(store.index.wares())) == MANY // 2 + 1


def test_whoever_waits_learns_for_whom_and_a_killed_holder_frees(tmp_path: Path) -> None:
    """X07."""
    holder = act(tmp_path, "hold", "zFormula")
    with holder, Store(tmp_path) as store:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        told: list[list[int]] = []
        with pytest.raises(Unable) as caught, store.single_flight("zFormula", timeout=0.05, on_wait=told.append):
            pass
        assert (caught.value.code, caught.value.reason) == ("warpforge-error-store", "busy")
        assert caught.value.details["pid"] == str(pid)
        assert told == [[pid]]
        with store.single_flight("zOther", timeout=0), store.single_flight(ware_of("x"), timeout=0):
            pass
        holder.send_signal(signal.SIGKILL)
        with store.single_flight("zFormula", timeout=10):
            pass


def test_users_share_and_a_collector_is_alone(tmp_path: Path) -> None:
    with Store(tmp_path) as one, Store(tmp_path) as two:
        with one.use(), two.use(), pytest.raises(Unable) as caught, two.exclusive():
            pass
        assert caught.value.reason == "busy"
        with one.exclusive():
            pass


def test_a_failed_box_that_somebody_else_was_quicker_to_remove_is_gone(tmp_path: Path) -> None:
    """Steps that fail at the same time all look for what is old."""
    with Store(tmp_path) as store:
        store.failed.room("one")
        path = f"{store.layout.failed}/one"
        os.mkdir(f"{path}/layers")
        note = FailedBox(run="one", step=[], document="x", formula=Raw(b"{}"), formula_id="z")
        assert store.failed.settle("one", note, boxes=9)
        (box,) = store.failed.all()
        assert store.failed.drop(box) and not os.path.exists(path)
        assert store.failed.drop(box)


def test_what_is_unpinned_while_pins_are_read_is_none(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for name in ("a", "b", "c"):
            store.kept.pin(ware_of("text"), name)
        pins = store.kept.pins()
        assert next(pins) == ("a", ware_of("text"))
        store.kept.unpin("b")
        assert [name for name, _ in pins] == ["c"]


def test_a_second_tree_under_one_id_is_refused(tmp_path: Path) -> None:
    ware = WareId("tar", "abcdef123")
    with Store(tmp_path) as store:
        assert store.duals.get(ware) is None
        store.duals.record(WareId("ztar", "one"), "ztar:one")
        assert store.duals.get(WareId("ztar", "one")) is None  # its id says it already
        store.duals.record(ware, "ztar:one")
        store.duals.record(ware, "ztar:one")
        (tmp_path / "index.lmdb").exists() or store.reindex()  # no part of what is remembered
        with pytest.raises(Failed) as caught:
            store.duals.record(ware, "ztar:two")
        assert (caught.value.code, caught.value.reason) == ("warpforge-error-ware-mismatch", "symlinks")
        assert store.duals.get(ware) == "ztar:one"
        path = Path(store.layout.dual(ware))
        path.chmod(0o644)
        for text in (b"", b"ztar:", b"ztar:one", b"tar:one\n", b"ztar:one\nztar:two\n", b"\xff\n"):
            path.write_bytes(text)
            with pytest.raises(Unable) as damaged:
                store.duals.record(ware, "ztar:one")
            assert damaged.value.reason == "corrupt"
        assert [finding.kind for finding in verify(store, check)] == ["dual"]


def test_a_store_of_another_version_is_left_alone(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store_text(store, "one")
    (tmp_path / "format").write_text("2\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Unable) as caught:
        Store(tmp_path)
    assert caught.value.reason == "version"
    assert sorted(tmp_path.rglob("*")) == before


def read_only(path: str) -> list[str]:
    """What an ordinary user can do with somebody else's store."""
    seen = []
    with Store(path) as store:
        with store.use():
            seen.append(str(store.memo.load("zFormula") is not None))
            seen.append(str(store.has(ware_of("text"))))
            seen.append(str(store.index.ware(ware_of("text")) is not None))
            seen.append(str(len(list(store.runs.entries()))))
        for attempt in (lambda: store_text(store, "new"), lambda: shelve_text(store, "new"), store.pin):
            try:
                attempt()
            except Unable as error:
                seen.append(f"{error.code} {error.reason}")
        store.index.put_last_run("zFormula", "other")
    with Store(path) as store:
        seen += [finding.kind for finding in store.findings()]
    return seen


@pytest.mark.parametrize("name", [name for name in list_people() if name != "root"])
def test_a_store_that_we_may_only_read_answers(name: str) -> None:
    with reachable(name) as (person, own):
        with Store(own / "s") as store:
            make(store, "zFormula", "text")
        os.chown(own, 0 if os.geteuid() == 0 else -1, -1)
        tree = [own / "s", *(own / "s").rglob("*")]
        modes = [(path, path.lstat().st_mode) for path in tree]
        if person.is_caller:
            for path, _ in reversed(modes):
                path.chmod(0o555)
        refused = "warpforge-error-store readonly"
        assert person.call(read_only, str(own / "s")) == ["True", "True", "True", "1", refused, refused, refused]
        for path, mode in modes:
            path.chmod(mode & 0o7777)


def test_a_store_behind_a_symlink_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with Store(tmp_path / "link") as store:
        make(store, "zFormula", "text")
    with Store(tmp_path / "real") as store:
        assert store.memo.load("zFormula")
        assert store.index.ware(ware_of("text"))
        assert store.shelf.has(ware_of("text"))


def test_verify_finds_each_kind_of_damage(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for text in ("flipped", "kept", "gone", "linked"):
            store_text(store, text)
        flipped, gone, linked = (store.warehouse.find(ware_of(text)) for text in ("flipped", "gone", "linked"))
        assert flipped and gone and linked
        flipped.chmod(0o644)
        flipped.write_text("fLipped")
        gone.unlink()
        linked.unlink()
        linked.symlink_to("/etc/passwd")
        memo = Path(store.layout.memo("zFormula"))
        memo.parent.mkdir()
        memo.write_text("{")
        found = {(finding.kind, finding.name, finding.code, finding.reason) for finding in verify(store, check)}
        assert found == {
            ("ware", str(ware_of("flipped")), "ware-mismatch", ""),
            ("ware", str(ware_of("linked")), "ware-corrupt", "type"),
            ("index", str(ware_of("gone")), "missing", ""),
            ("index", str(ware_of("linked")), "missing", ""),
            ("memo", "zFormula", "serialization", "parse"),
        }
