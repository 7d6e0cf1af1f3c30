"""Creating files through a process of its own: what it makes, how it fails, and that it ends."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.trees import open_dir

from warpforge.fsx.creator import Creator


@pytest.fixture
def creator(tmp_path: Path) -> Iterator[Creator]:
    fd = open_dir(tmp_path)
    creator = Creator(fd)
    os.close(fd)
    yield creator
    creator.close()


def test_files_are_as_described(creator: Creator, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    names = [(b"", b"x"), (b"a/b", b"\xff\n"), (b"a", b"y"), (b"c", b"z"), (b"a/b", b"w")]
    files = [(parent, name, 0o604, 7_500_000_000, 4 * at) for at, (parent, name) in enumerate(names)]
    creator.create(files, [bytes((at,)) * 4 * at for at in range(5)], None)
    creator.create([(b"", b"again", 0, 0, 3)], [b"abc"], None)
    for at, (parent, name) in enumerate(names):
        path = os.path.join(os.fsencode(tmp_path), parent, name)
        assert Path(os.fsdecode(path)).read_bytes() == bytes((at,)) * 4 * at
        assert os.stat(path).st_mode & 0o7777 == 0o604
        assert os.stat(path).st_mtime == 7.5
    assert (tmp_path / "again").stat().st_mode & 0o7777 == 0


@pytest.mark.parametrize("mode", [0o777, 0o666, 0o1644, 0o6755, 0o7777])
def test_modes_are_exact(creator: Creator, tmp_path: Path, mode: int) -> None:
    creator.create([(b"", b"f", mode, 0, 1)], [b"x"], None)
    assert (tmp_path / "f").stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(shutil.which("setfacl") is None, reason="setfacl is not installed")
def test_a_default_acl_changes_no_mode(tmp_path: Path) -> None:
    subprocess.run(["setfacl", "-d", "-m", "u::r,g::-,o::-", str(tmp_path)], check=True)
    fd = open_dir(tmp_path)
    creator = Creator(fd)
    creator.create([(b"", b"f", 0o666, 0, 1)], [b"x"], None)
    creator.close()
    os.close(fd)
    assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o666


def test_more_files_than_one_call_takes(creator: Creator, tmp_path: Path) -> None:
    files = [(b"", b"%d" % number, 0o644, 0, 3000) for number in range(2500)]
    creator.create(files, [bytes(3000)] * 2500, None)
    assert len(os.listdir(tmp_path)) == 2500


def test_symlinks_are_not_followed(creator: Creator, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "l").symlink_to("in")
    (tmp_path / "m").symlink_to("nowhere")
    with pytest.raises(OSError) as caught:
        creator.create([(b"l", b"x", 0o644, 0, 0)], [b""], None)
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)
    with pytest.raises(FileExistsError) as caught:
        creator.create([(b"", b"y", 0o644, 0, 0), (b"", b"m", 0o644, 0, 0)], [b"", b""], None)
    assert caught.value.filename == b"m"
    assert os.listdir(tmp_path / "in") == []


def test_it_goes_on_after_an_error(creator: Creator, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(FileNotFoundError):
        creator.create([(b"missing", b"x", 0o644, 0, 1)], [b"x"], None)
    creator.create([(b"d", b"x", 0o644, 0, 1)], [b"x"], None)
    assert (tmp_path / "d/x").read_bytes() == b"x"


def test_closing_ends_the_process(tmp_path: Path) -> None:
    fd = open_dir(tmp_path)
    before = set(os.listdir("/proc/self/fd"))
    creator = Creator(fd)
    pid = creator.pid
    assert os.path.exists(f"/proc/{pid}")
    creator.close()
    assert not os.path.exists(f"/proc/{pid}")
    assert set(os.listdir("/proc/self/fd")) == before
    os.close(fd)
