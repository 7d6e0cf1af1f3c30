"""The run log: appended to by many, read from its end, never torn for good."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from warpforge.model.atoms import WareId
from warpforge.store.invocations import KEPT, Invocation
from warpforge.store.lines import append_line
from warpforge.store.store import Store


def run(store: Store, formula: str, step: tuple[str, ...] = (), said: bytes = b"") -> str:
    run = store.runs.begin(formula, step)
    run.write(said)
    run.entry.exit_code = 0
    return run.finish().id


def test_an_execution_is_told_with_its_provenance(tmp_path: Path) -> None:
    ware = WareId("tar", "abcdef123")
    with Store(tmp_path) as store:
        one = store.runs.begin("zOne", ("outer", "inner"))
        one.write(b"hello\n")
        one.write(b"again\n")
        entry = one.entry
        entry.exit_code, entry.sandbox, entry.limits = 7, "bwrap", {"memory": "1 GiB"}
        entry.hermetic, entry.why = False, ["network"]
        entry.inputs, entry.outputs = {"/": f"ware:{ware}"}, {"out": "ware:ztar:xyz"}
        one.finish()
        [read] = store.runs.entries()
        assert read == entry
        assert read.output_bytes == 12
        assert Path(store.runs.log_path(read) or "").read_bytes() == b"hello\nagain\n"
        for what in (entry.id, entry.id[:8], "zOne", "inner", "outer/inner", str(ware), "ztar:xyz"):
            assert store.runs.find(what) == [entry], what
        for what in (entry.id[:3], "outer", "zTwo", "tar:abc"):
            assert store.runs.find(what) == [], what
        assert store.index.last_run("zOne") == entry.id


def test_newest_first_over_months(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        ids = [run(store, f"z{number}") for number in range(300)]
        old = tmp_path / "runs" / "1999-12.jsonl"
        append_line(str(old), b'{"id":"old","formula_id":"","step":[],"started":1.0}')
        assert [entry.id for entry in store.runs.entries()] == [*reversed(ids), "old"]


def test_output_is_bounded_and_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        one = store.runs.begin("zOne", limit=10)
        for _ in range(3):
            one.write(b"123456")
        entry = one.finish()
        assert entry.truncated
        assert entry.output_bytes == 18
        text = Path(store.runs.log_path(entry) or "").read_bytes()
        assert text.startswith(b"1234561234")
        assert text.count(b"truncated") == 1


def test_a_silent_run_has_no_log_and_a_dropped_one_no_trace(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        run(store, "zOne")
        store.runs.begin("zTwo").drop()
        [entry] = store.runs.entries()
        assert entry.log == ""
        assert store.runs.log_path(entry) is None
        assert [name for name in os.listdir(tmp_path / "runs") if not name.endswith(".jsonl")] == []
        assert os.listdir(store.staging.directory()) == []


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        first = run(store, "zOne")
        [path] = (tmp_path / "runs").glob("*.jsonl")
        with path.open("ab") as file:
            file.write(b'{"id":"torn","formula_')
        second = run(store, "zTwo")
        with path.open("ab") as file:
            file.write(b'not json\n{"id":5}\n\n')
        third = run(store, "zThree")
        assert [entry.id for entry in store.runs.entries()] == [third, second, first]


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    with Store(tmp_path) as store, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: run(store, f"z{number}", said=b"x"), range(200)))
        assert {entry.formula_id for entry in store.runs.entries()} == {f"z{number}" for number in range(200)}


def test_one_that_has_begun_is_seen_until_it_ends(tmp_path: Path) -> None:
    with Store(tmp_path) as store, Store(tmp_path) as other:
        one = store.runs.begin("zOne", ("a",))
        one.entry.invocation = "them"
        one.announce()
        one.write(b"so far")
        assert list(other.runs.entries()) == []
        [seen] = other.runs.open_entries()
        assert (seen.id, seen.step, seen.invocation) == (one.id, ["a"], "them")
        assert other.runs.is_running(seen)
        assert Path(other.runs.log_path(seen) or "").read_bytes() == b"so far"
        one.finish()
        assert list(other.runs.open_entries()) == []
        assert [entry.id for entry in other.runs.entries()] == [one.id]


def test_one_whose_process_is_gone_does_not_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.runs.begin("zOne").announce()
    store.close()
    with Store(tmp_path) as other:
        [seen] = other.runs.open_entries()
        assert not other.runs.is_running(seen)
        assert seen.failed


def test_the_oldest_output_goes_first_and_the_lines_stay(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        ids = [run(store, f"z{number}", said=b"x" * 100) for number in range(5)]
        for age, name in enumerate(reversed(ids)):
            [path] = (tmp_path / "runs").glob(f"*/{name}.log")
            os.utime(path, (1000 - age, 1000 - age))
        assert store.runs.prune(logs=250) == 300
        assert [bool(store.runs.log_path(entry)) for entry in store.runs.entries()] == [True, True, False, False, False]
        assert store.runs.prune(lines=0) == 0, "the newest month of lines stays"
        append_line(str(tmp_path / "runs" / "1999-12.jsonl"), b'{"id":"old"}')
        assert store.runs.prune(lines=0) > 0
        assert [entry.id for entry in store.runs.entries()] == [*reversed(ids)]


def test_only_the_newest_invocations_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        pruned = [store.invocations.save(Invocation(f"one-{number}", 1000.0 + number)) for number in range(KEPT + 1)]
        assert pruned.index(True) == KEPT
        found = [invocation.id for invocation in store.invocations.all()]
        assert found[0] == f"one-{KEPT}"
        assert len(found) < KEPT
        assert store.invocations.find("") == store.invocations.find(f"one-{KEPT}")
        assert store.invocations.find("one-0") is None
