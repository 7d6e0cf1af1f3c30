"""Walking, sending and removing trees: canonical order, any depth, any name, nothing left out in silence."""

from __future__ import annotations

import errno
import os
import random
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.people import list_people, make_person
from support.trees import list_entries, open_dir, random_tree, write_tree

from warpforge.fsx.remove import remove_tree
from warpforge.fsx.stream import receive, send
from warpforge.fsx.tree import Entry, sort_key, walk

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content

DEPTH = 3000


def read(content: Content | None) -> bytes | None:
    if content is None:
        return None
    data = b""
    while piece := content.read(1000):
        data += piece
    return data


@pytest.fixture
def base(tmp_path: Path) -> Iterator[int]:
    fd = open_dir(tmp_path)
    yield fd
    os.close(fd)


@pytest.fixture
def memory_base(tmp_path: Path) -> Iterator[int]:
    """A directory in memory where there is one: thousands of directories take their time elsewhere."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    with tempfile.TemporaryDirectory(dir=place) as directory:
        fd = open_dir(directory)
        yield fd
        os.close(fd)


def dig(base: int, depth: int) -> None:
    """A tree deeper than any path can say, with a file at the bottom."""
    fd = os.dup(base)
    for _ in range(depth):
        os.mkdir("down", dir_fd=fd)
        below = os.open("down", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open("bottom", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd)
    os.write(file, b"deep")
    os.close(file)
    os.close(fd)


def test_walk_gives_what_was_written_in_canonical_order(base: int, tmp_path: Path) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        tree = random_tree(rng, owners=False)
        write_tree(tree, os.fsencode(tmp_path) + b"/t%d" % seed)
        found = [(entry, read(content)) for entry, content in walk(base, b"t%d" % seed)]
        wanted = list_entries(tree)
        assert [entry.path for entry, _ in found] == [entry.path for entry, _ in wanted]
        assert [data for _, data in found] == [read(content) for _, content in wanted]
        for (entry, _), (want, _) in zip(found, wanted, strict=True):
            assert (entry.kind, entry.mode, entry.mtime, entry.link) == (want.kind, want.mode, want.mtime, want.link)
        assert [sort_key(entry) for entry, _ in found] == sorted(sort_key(entry) for entry, _ in found)


def test_a_lone_file_is_a_tree(base: int, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"hello")
    [(entry, content)] = [(entry, read(content)) for entry, content in walk(base, b"one")]
    assert (entry.path, entry.kind, entry.size, content) == (b"", "f", 5, b"hello")


def test_depth_is_no_limit(memory_base: int) -> None:
    base = memory_base
    dig(base, DEPTH)
    before = len(os.listdir("/proc/self/fd"))
    entries = [(entry, read(content)) for entry, content in walk(base)]
    assert len(entries) == DEPTH + 2
    assert entries[-1][1] == b"deep"
    remove_tree(base, b"down")
    assert os.listdir(base) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_few_descriptors_are_open_at_any_depth(base: int) -> None:
    dig(base, 300)
    most = max(len(os.listdir("/proc/self/fd")) for _ in walk(base))
    assert most < len(os.listdir("/proc/self/fd")) + 64
    remove_tree(base, "down")


def test_skip_leaves_out_a_child_with_all_below(base: int, tmp_path: Path) -> None:
    (tmp_path / "a/.git/x").mkdir(parents=True)
    (tmp_path / "a/.gitignore").touch()
    (tmp_path / "a/b").mkdir()
    skip = lambda path, directory: directory and path.endswith(b"/.git")  # noqa: E731
    assert [entry.path for entry, _ in walk(base, skip=skip)] == [b"", b"a", b"a/.gitignore", b"a/b"]


def test_a_file_that_changes_while_it_is_read_is_an_error(base: int, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * 1000)
    with pytest.raises(OSError) as caught:
        for _, content in walk(base):
            if content is not None:
                content.read(10)
                file.write_bytes(b"y" * 1000)
                while content.read(100):
                    pass
    assert caught.value.errno == errno.ESTALE
    assert caught.value.filename == b"f"


def test_a_file_replaced_by_a_symlink_is_an_error(base: int, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * 1000)
    with pytest.raises(OSError):
        for _, content in walk(base):
            if content is not None:
                file.unlink()
                file.symlink_to("/etc/passwd")
                content.read(10)


def _walk_all(path: str) -> int:
    fd = open_dir(path)
    try:
        return sum(1 for _ in walk(fd))
    finally:
        os.close(fd)


def test_an_unreadable_directory_is_never_left_out(base: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "open/closed").mkdir(parents=True)
    (tmp_path / "open/closed").chmod(0)
    user = make_person("user")
    try:
        for directory in (tmp_path, *tmp_path.parents[:-1]):
            if not directory.stat().st_mode & 0o001 and directory.stat().st_uid == os.getuid():
                directory.chmod(directory.stat().st_mode | 0o011)
        with pytest.raises(PermissionError) as caught:
            user.call(_walk_all, str(tmp_path))
        assert caught.value.filename == b"open/closed"
    finally:
        user.close()
        (tmp_path / "open/closed").chmod(0o755)


def test_one_device(base: int) -> None:
    with pytest.raises(OSError) as caught:
        root = open_dir("/")
        try:
            for entry, _ in walk(root, one_device=True, skip=lambda path, _: path not in (b"proc", b"dev", b"sys")):
                assert entry.path in (b"", b"dev", b"proc", b"sys")
        finally:
            os.close(root)
    assert caught.value.errno == errno.EXDEV


# streams


def through_a_pipe(entries: Iterator[tuple[Entry, Content | None]]) -> list[tuple[Entry, bytes | None]]:
    source, sink = os.pipe()

    def work() -> None:
        try:
            send(sink, entries)
        except OSError:
            pass
        finally:
            os.close(sink)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return [(entry, read(content)) for entry, content in receive(source)]
    finally:
        os.close(source)
        thread.join()


def test_a_tree_survives_the_stream(base: int, tmp_path: Path) -> None:
    tree = random_tree(random.Random(5), owners=False)
    tree.children[b"big"] = tree.children.get(b"big") or type(tree)("f", content=bytes(3_000_000))
    write_tree(tree, os.fsencode(tmp_path) + b"/t")
    direct = [(entry, read(content)) for entry, content in walk(base, b"t")]
    assert through_a_pipe(walk(base, b"t")) == direct


def test_contents_that_are_not_read_are_passed_over(base: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1_000_000))
    (tmp_path / "b").write_bytes(b"b")
    source, sink = os.pipe()
    thread = threading.Thread(target=send, args=(sink, walk(base)))
    thread.start()
    assert [entry.path for entry, _ in receive(source)] == [b"", b"a", b"b"]
    thread.join()
    os.close(source)
    os.close(sink)


def test_a_sender_s_error_comes_out_at_the_other_end(base: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 1000)

    class Failing:
        def read(self, size: int, /) -> bytes:
            raise OSError(errno.EIO, "the disk is broken", b"a")

    entries = [(entry, Failing() if content else None) for entry, content in walk(base)]
    with pytest.raises(OSError, match="the disk is broken") as caught:
        through_a_pipe(iter(entries))
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, b"a")


def test_a_cut_stream_is_an_error_wherever_it_was_cut(base: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 300)
    (tmp_path / "l").symlink_to("a")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours.fileno(), walk(base))
        whole = theirs.recv(1 << 20)
    for cut in range(len(whole)):
        source, sink = os.pipe()
        os.write(sink, whole[:cut])
        os.close(sink)
        with pytest.raises(OSError) as caught:
            for _, content in receive(source):
                read(content)
        assert caught.value.errno == errno.EPROTO
        os.close(source)


# removing


def _remove(path: str, name: str) -> None:
    fd = open_dir(path)
    try:
        remove_tree(fd, name)
    finally:
        os.close(fd)


@pytest.mark.parametrize("who", list_people())
def test_any_modes_are_removed(who: str, tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents[:-1]):
        if directory.stat().st_uid == os.getuid() and not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)
    person = make_person(who)
    place = tmp_path / "place"
    (place / "t/a/b").mkdir(parents=True)
    (place / "t/a/f").touch(mode=0)
    (place / "t/l").symlink_to("/")
    os.mkfifo(place / "t/p")
    for path in (place, *place.rglob("*")):
        os.chown(path, person.uid, -1, follow_symlinks=False)
    for path in (place / "t/a/b", place / "t/a", place / "t"):
        path.chmod(0)
    try:
        person.call(_remove, str(place), "t")
    finally:
        person.close()
    assert os.listdir(place) == []


def test_symlinks_are_removed_not_followed(base: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "f").touch()
    (tmp_path / "t").mkdir()
    (tmp_path / "t/l").symlink_to(canary)
    (tmp_path / "l").symlink_to(canary)
    remove_tree(base, "t")
    remove_tree(base, "l")
    assert (canary / "f").exists()
    assert os.listdir(tmp_path) == ["canary"]


def test_what_is_missing(base: int) -> None:
    remove_tree(base, "nothing", missing_ok=True)
    with pytest.raises(FileNotFoundError):
        remove_tree(base, "nothing")


def test_many_children(base: int, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    for number in range(5000):
        (tmp_path / "t" / str(number)).touch()
    for number in range(30):
        (tmp_path / "t" / f"d{number}" / "x").mkdir(parents=True)
    remove_tree(base, "t")
    assert os.listdir(tmp_path) == []


def test_several_remove_one_tree_at_once(base: int, tmp_path: Path) -> None:
    """As when a command begins while the helper of one that was killed still clears up: all of it goes, for both."""
    for number in range(200):
        (tmp_path / f"t/{number % 7}/d{number}/x").mkdir(parents=True)
        for name in "abc":
            (tmp_path / f"t/{number % 7}/d{number}/{name}").touch()
    ready = threading.Barrier(4)

    def remove(_: int) -> None:
        ready.wait()
        remove_tree(base, "t", missing_ok=True)

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(remove, range(4))] == [None] * 4
    assert os.listdir(tmp_path) == []
