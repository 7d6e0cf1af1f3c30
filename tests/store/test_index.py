"""The index: anything may happen to it, and nothing but time is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.actor import ENVIRONMENT, store_text, ware_of
from support.damage import INDEX, damage_index, data_of

from warpforge.errors import Internal
from warpforge.store import index_file
from warpforge.store.facts import WareFacts
from warpforge.store.index_guard import is_whole
from warpforge.store.store import Store


def fill(path: Path, count: int = 300) -> None:
    with Store(path) as store:
        for number in range(count):
            store_text(store, f"text {number}")
            store.index.ingest_put(f"/some/path/{number}", b"signature", ware_of("x"))


def test_what_was_noted_is_there_at_once_and_later(tmp_path: Path) -> None:
    ware, facts = ware_of("x"), WareFacts(1, 2, 3, "four")
    with Store(tmp_path) as store:
        index = store.index
        assert index.ware(ware) is None
        index.put_ware(ware, facts)
        index.put_last_run("zOne", "run")
        index.ingest_put(b"/path/\xff", b"\0signature", ware)
        for _ in range(2):
            assert index.ware(ware) == facts
            assert index.last_run("zOne") == "run"
            assert index.ingest_get(b"/path/\xff", b"\0signature") == ware
            assert index.ingest_get(b"/path/\xff", b"another") is None
            assert list(index.wares()) == [(ware, facts)]
            index.close()
        index.forget_ware(ware)
        assert index.ware(ware) is None
    with Store(tmp_path) as store:
        assert store.index.ware(ware) is None
        assert store.index.last_run("zOne") == "run"
        assert store.findings() == []


@pytest.mark.parametrize("how", INDEX)
def test_c08_c09_a_damaged_one_is_made_anew_without_a_word(tmp_path: Path, how: str) -> None:
    fill(tmp_path)
    damage_index(tmp_path, how)
    code = (
        "import sys; from support.actor import *\n"
        "with Store(sys.argv[1]) as store:\n"
        "    assert store.has(ware_of('text 1')), 'truth'\n"
        "    store.index.ware(ware_of('text 1'))\n"
        "    store_text(store, 'new')\n"
        "with Store(sys.argv[1]) as store:\n"
        "    assert store.index.ware(ware_of('new')), 'noted'\n"
        "    for number in range(300):\n"
        "        facts = store.index.ware(ware_of(f'text {number}'))\n"
        "        assert facts and facts.packed_bytes == len(f'text {number}'), 'filled again from the files'\n"
        "    assert len(list(store.index.wares())) == 301\n"
        "    assert store.reindex() == 301, 'again'\n"
        "    assert store.findings() == [], store.findings()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # a signal, such as SIGBUS, would be negative


def test_sizes_are_checked_before_anything_is_mapped(tmp_path: Path) -> None:
    fill(tmp_path)
    file = data_of(tmp_path)
    assert is_whole(str(file))
    whole = file.read_bytes()
    for size in (0, 100, 4096, 8192, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert not is_whole(str(file)), size
    assert not is_whole(str(tmp_path / "missing"))


def test_the_map_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_file, "_MAP_SIZE", 1 << 16)
    fill(tmp_path, 10)
    with Store(tmp_path) as one, Store(tmp_path) as two:
        for number in range(3000):
            one.index.ingest_put(f"/{number}", b"s" * 100, ware_of("x"))
        one.index.flush()
        assert two.index.ingest_get("/2999", b"s" * 100) == ware_of("x")
        assert one.findings() == []


def test_another_process_makes_the_map_grow(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    code = (
        "import sys; from support.actor import *; from warpforge.store import index_file\n"
        "with Store(sys.argv[1]) as store:\n"
        "    for n in range(int(sys.argv[2])): store.index.ingest_put(f'/{n}', b's' * 3000, ware_of('x'))\n"
    )
    with Store(tmp_path) as store:
        assert store.index.ware(ware_of("text 1"))
        done = subprocess.run([sys.executable, "-c", code, tmp_path, "12000"], env=ENVIRONMENT, check=False)
        assert done.returncode == 0
        assert store.index.ingest_get("/11999", b"s" * 3000) == ware_of("x")
        store.index.put_last_run("zOne", "run")
    with Store(tmp_path) as store:
        assert store.index.last_run("zOne") == "run"


def test_two_stores_in_one_process_share_one_environment(tmp_path: Path) -> None:
    with Store(tmp_path) as one, Store(tmp_path / "." / "x" / "..") as two:
        one.index.put_last_run("zOne", "run")
        one.index.flush()
        assert two.index.last_run("zOne") == "run"
        one.close()
        assert two.index.last_run("zOne") == "run"


def test_a_forked_child_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with Store(tmp_path) as store:
        assert store.index.ware(ware_of("text 1"))
        child = os.fork()
        if not child:
            try:
                store.index.ware(ware_of("text 2"))
            except Internal:
                os._exit(17)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 17
        assert store.index.ware(ware_of("text 2"))


def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    code = (
        "import sys, itertools; from support.actor import *\n"
        "with Store(sys.argv[1]) as store:\n"
        "    for n in itertools.count():\n"
        "        store.index.put_last_run('zOne', str(n)); store.index.flush(); print(n, flush=True)\n"
    )
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        )
        with writer:
            assert writer.stdout is not None
            acknowledged = [writer.stdout.readline() for _ in range(20)][-1]
            writer.send_signal(signal.SIGKILL)
            acknowledged = (writer.stdout.read().splitlines() or [acknowledged])[-1]
        with Store(tmp_path) as store:
            assert int(store.index.last_run("zOne") or -1) >= int(acknowledged)
            assert store.findings() == []


def test_reindex_forgets_what_is_not_there(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        kept = store_text(store, "kept")
        lost = store_text(store, "lost")
        run = store.runs.begin("zOne")
        run.finish()
        (store.warehouse.find(lost) or tmp_path).unlink()
        assert store.index.ware(lost) is not None
        assert store.reindex() == 1
        assert [ware for ware, _ in store.index.wares()] == [kept]
        assert store.index.last_run("zOne") == run.id


HOLD_A_READER = """
import lmdb, sys
env = lmdb.open(sys.argv[1], readonly=True, max_dbs=4)
with env.begin() as transaction:
    print("reading", flush=True)
    sys.stdin.read()
"""


def test_a_killed_reader_does_not_make_the_file_grow(tmp_path: Path) -> None:
    """X09: its slot is freed by the next who opens the index; a stopped one costs space only as long as it lives."""
    fill(tmp_path, 50)

    def write(count: int) -> int:
        with Store(tmp_path) as store:
            for number in range(count):
                store.index.put_last_run("zOne", f"{number}" * 100)
                store.index.flush()
        return (tmp_path / "index.lmdb" / "data.mdb").stat().st_size

    write(20)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_READER, tmp_path / "index.lmdb"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "reading\n"
        reader.send_signal(signal.SIGSTOP)
        grown = write(60)
        reader.kill()
    assert write(120) <= grown + (64 << 10)


def test_threads_share_one_index(tmp_path: Path) -> None:
    """X11: any thread writes and any other has it written; no transaction ever leaves its thread."""
    begin = threading.Barrier(8)
    with Store(tmp_path) as store:

        def work(number: int) -> None:
            begin.wait()  # whoever is the first to ask for it makes the one that all have
            for turn in range(20):
                store.index.put_last_run(f"z{number}", str(turn))
                assert store.index.last_run(f"z{number}") == str(turn)
                store.index.flush()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Store(tmp_path) as store:
        assert [store.index.last_run(f"z{number}") for number in range(8)] == ["19"] * 8
        assert store.findings() == []
