"""An ingested directory that did not change costs a walk of stats; one that might have changed is read again."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from warpforge.engine.events import Event, Ingested, Reporter
from warpforge.engine.ingest import Ingester
from warpforge.errors import WarpforgeError
from warpforge.fsx.atomic import exchange
from warpforge.fsx.stat_walk import GRAIN, stat_walk
from warpforge.model.atoms import Ingest, WareId
from warpforge.store.store import Store

HOUR = 3600 * 10**9


def later() -> int:
    """A clock for which everything here was written an hour ago."""
    return time.time_ns() + HOUR


class Heard(Reporter):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


class Source:
    """A directory, ingested into a store; ``take`` gives the ware and whether it was known without reading."""

    def __init__(self, base: Path) -> None:
        self.tree = base / "tree"
        self.tree.mkdir()
        self.store = Store(base / "store")

    def write(self, path: str, text: str) -> None:
        target = self.tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def take(self, clock: Callable[[], int] = later) -> tuple[WareId, bool]:
        heard = Heard()
        ware = Ingester(self.store, heard, clock).ingest(Ingest("dir", "tree", ""), self.tree.parent)
        (event,) = heard.events
        assert isinstance(event, Ingested) and event.ware == ware
        return ware, event.cached


def replace_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    source = Source(tmp_path)
    source.write("a", "first")
    source.write("sub/b", "second")
    os.symlink("a", source.tree / "link")
    yield source
    source.store.close()


def test_unchanged_is_known_and_every_change_is_seen(source: Source) -> None:
    wares = [source.take()[0]]
    assert source.take() == (wares[0], True)
    changes: list[Callable[[], object]] = [
        lambda: source.write("a", "FIRST"),  # the same length
        lambda: (source.tree / "a").chmod(0o755),
        lambda: source.write("sub/c", ""),
        lambda: os.rename(source.tree / "sub/c", source.tree / "sub/d"),
        lambda: os.unlink(source.tree / "sub/d"),
        lambda: replace_link(source.tree / "link", "b"),
        lambda: source.write(".wfignore", "sub\n"),
        lambda: os.mkdir(source.tree / "empty"),
    ]
    for change in changes:
        change()
        ware, cached = source.take()
        assert not cached and ware != wares[-1]
        assert source.take() == (ware, True)
        wares.append(ware)


def test_a_change_under_restored_times_is_seen(source: Source) -> None:
    before, _ = source.take()
    path = source.tree / "a"
    status = path.stat()
    path.write_text("tsrif")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    ware, cached = source.take()
    assert not cached and ware != before


def test_another_inode_with_the_same_times_is_seen(source: Source) -> None:
    before, _ = source.take()
    path = source.tree / "a"
    status = path.stat()
    source.write("new", "tsrif")
    os.utime(source.tree / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.rename(source.tree / "new", path)
    assert source.take()[0] != before


def test_names_that_change_places_are_seen(source: Source) -> None:
    """Renames change no file's bytes, size or mtime: the names and inodes tell, and the ctime of what was renamed."""
    for name, text in (("one/x", "1"), ("two/x", "2"), ("p", "1"), ("q", "2")):
        source.write(name, text)
    stamp = (source.tree / "a").stat().st_mtime_ns
    for path in sorted(source.tree.rglob("*"), reverse=True):
        os.utime(path, ns=(stamp, stamp), follow_symlinks=False)
    wares = [source.take()[0]]
    for one, other in (("one", "two"), ("p", "q")):
        exchange(source.tree / one, source.tree / other)
        for path in (source.tree / one, source.tree / other, source.tree):
            os.utime(path, ns=(stamp, stamp))
        ware, cached = source.take()
        assert not cached and ware not in wares
        wares.append(ware)
    os.rename(source.tree / "one", source.tree / "three")
    os.rename(source.tree / "two", source.tree / "one")
    os.rename(source.tree / "three", source.tree / "two")
    ware, cached = source.take()
    assert not cached and ware not in wares


def test_a_directory_in_place_of_another(source: Source, tmp_path: Path) -> None:
    """The whole directory is swapped for one with the same names, sizes and times, and back."""
    ware, _ = source.take()
    twin = tmp_path / "twin"
    shutil.copytree(source.tree, twin, symlinks=True)
    (twin / "a").write_text("tsrif")
    for path in (*source.tree.rglob("*"), source.tree):
        status = path.lstat()
        times = (status.st_atime_ns, status.st_mtime_ns)
        os.utime(twin / path.relative_to(source.tree), ns=times, follow_symlinks=False)
    exchange(source.tree, twin)
    other, cached = source.take()
    assert not cached and other != ware
    exchange(source.tree, twin)
    assert source.take()[0] == ware


def test_a_file_that_is_a_link_elsewhere_too(source: Source, tmp_path: Path) -> None:
    os.link(source.tree / "a", tmp_path / "also")
    ware, _ = source.take()
    status = (tmp_path / "also").stat()
    (tmp_path / "also").write_text("tsrif")
    os.utime(tmp_path / "also", ns=(status.st_atime_ns, status.st_mtime_ns))
    other, cached = source.take()
    assert not cached and other != ware


def test_what_is_left_out_does_not_count(source: Source) -> None:
    source.write(".git/HEAD", "1")
    source.write("sub/.warpforge/x", "1")
    ware, _ = source.take()
    source.write(".git/HEAD", "2")
    source.write("sub/.warpforge/y", "1")
    assert source.take() == (ware, True)
    source.write(".wfignore", "*.o\n")
    ignoring, cached = source.take()
    assert not cached
    source.write("sub/made.o", "object")
    assert source.take() == (ignoring, False), "the directory that holds it changed"
    (source.tree / "sub/made.o").write_bytes(b"another")
    assert source.take() == (ignoring, True)


def test_fresh_files_are_never_trusted(source: Source) -> None:
    ware, _ = source.take(time.time_ns)
    assert source.take(time.time_ns) == (ware, False)
    assert source.take(lambda: time.time_ns() - HOUR) == (ware, False), "files of the future"
    assert source.take() == (ware, False), "old enough now, so this time it is noted"
    assert source.take(time.time_ns) == (ware, True), "noted while it was old: any change since has a later ctime"


def test_a_time_set_to_the_future_is_never_trusted(source: Source) -> None:
    future = time.time_ns() + 10 * HOUR
    os.utime(source.tree / "a", ns=(future, future))
    ware, _ = source.take()
    assert source.take() == (ware, False)


def test_quiet_is_about_the_walks_beginning(source: Source) -> None:
    fd = os.open(source.tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        newest = max(
            max(s.st_ctime_ns, s.st_mtime_ns) for s in (os.lstat(p) for p in (source.tree, *source.tree.rglob("*")))
        )
        assert not stat_walk(fd, now=lambda: newest + GRAIN).quiet
        assert stat_walk(fd, now=lambda: newest + GRAIN + 1).quiet
        assert stat_walk(fd).digest == stat_walk(fd).digest
    finally:
        os.close(fd)


def test_a_tree_that_changes_while_it_is_read_is_not_noted(source: Source) -> None:
    """Writers at work: whatever was noted as unchanged is what reading it anew gives."""
    for number in range(300):
        source.write(f"many/{number}", "x" * 100)
    stop = threading.Event()
    wrote = threading.Semaphore(0)

    def write() -> None:
        number = 0
        while not stop.is_set():
            source.write(f"many/{number % 300}", f"{number:0100}")
            number += 1
            wrote.release()

    writer = threading.Thread(target=write)
    writer.start()
    cached = 0
    try:
        for _ in range(10):
            while wrote.acquire(blocking=False):  # what was written until now; then a busy machine may take its time
                pass
            assert wrote.acquire(timeout=100)
            time.sleep(0.02)  # past the tick of the kernel by which files are stamped
            try:
                cached += source.take()[1]
            except WarpforgeError as error:  # changed while it was read: refused, never packed torn
                assert error.code == "warpforge-error-store"
    finally:
        stop.set()
        writer.join()
    assert cached == 0
    ware, _ = source.take()
    with Store(source.store.internal.parent / "other") as other:
        assert Ingester(other, Reporter()).ingest(Ingest("dir", "tree", ""), source.tree.parent) == ware


def test_the_ware_must_still_be_here(source: Source) -> None:
    ware, _ = source.take()
    found = source.store.warehouse.find(ware)
    assert found is not None
    found.unlink()
    assert source.take() == (ware, False)
    assert source.store.warehouse.has(ware)
    assert source.take() == (ware, True)


def test_another_directory_with_the_same_content_has_its_own_note(source: Source) -> None:
    ware, _ = source.take()
    os.rename(source.tree, source.tree.parent / "moved")
    source.tree.mkdir()
    source.write("a", "other")
    assert source.take()[0] != ware


def test_a_lost_index_costs_a_reading(source: Source) -> None:
    ware, _ = source.take()
    source.store.reindex()
    assert source.take() == (ware, False)
    assert source.take() == (ware, True)


def test_an_unreadable_directory_is_an_error(source: Source) -> None:
    source.take()
    (source.tree / "sub").chmod(0)
    try:
        if os.geteuid() == 0:
            assert not source.take()[1]
        else:
            with pytest.raises(WarpforgeError):
                source.take()
    finally:
        (source.tree / "sub").chmod(0o755)


def test_any_depth(source: Source) -> None:
    fd = os.open(source.tree, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(600):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    ware, _ = source.take()
    assert source.take() == (ware, True)
