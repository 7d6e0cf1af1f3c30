"""Writing whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from warpforge.fsx import atomic


def test_a_file_is_replaced_with_its_mode_and_nothing_is_left_beside(tmp_path: Path) -> None:
    os.umask(0o022)
    goal = tmp_path / "file"
    atomic.write_atomic(goal, b"one")
    atomic.write_atomic(goal, b"two", 0o600)
    assert goal.read_bytes() == b"two"
    assert goal.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_what_cannot_be_renamed_is_removed(tmp_path: Path) -> None:
    (tmp_path / "goal").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.write_atomic(tmp_path / "goal", b"bytes")
    assert os.listdir(tmp_path) == ["goal"]


@pytest.mark.parametrize("taken", ["file", "directory", "dangling"])
def test_noreplace_leaves_whatever_has_the_name(tmp_path: Path, taken: str) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("old")
    if taken == "file":
        new.write_text("new")
    elif taken == "directory":
        new.mkdir()
    else:
        new.symlink_to("nowhere")
    before = new.lstat()
    for rename in (atomic.rename_noreplace, atomic._rename_without_flags):
        with pytest.raises(FileExistsError):
            rename(old, new)
    assert new.lstat().st_ino == before.st_ino
    assert old.read_text() == "old"


@pytest.mark.parametrize("rename", [atomic.rename_noreplace, atomic._rename_without_flags])
def test_noreplace_moves_files_and_directories(tmp_path: Path, rename: object) -> None:
    assert callable(rename)
    (tmp_path / "file").write_text("text")
    (tmp_path / "directory").mkdir()
    rename(tmp_path / "file", tmp_path / "file2")
    rename(tmp_path / "directory", tmp_path / "directory2")
    assert sorted(os.listdir(tmp_path)) == ["directory2", "file2"]


def test_exchange_swaps_trees(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").touch()
    (tmp_path / "two").mkdir()
    atomic.exchange(tmp_path / "one", tmp_path / "two")
    assert os.listdir(tmp_path / "two") == ["a"]
    assert os.listdir(tmp_path / "one") == []


def test_make_dirs_names_what_it_made(tmp_path: Path) -> None:
    made = atomic.make_dirs(tmp_path / "a" / "b")
    assert made == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    assert atomic.make_dirs(tmp_path / "a" / "b") == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        atomic.make_dirs(tmp_path / "file" / "c")
    with pytest.raises(FileExistsError):
        atomic.make_dirs(tmp_path / "file")


def test_a_directory_without_write_permission_can_be_moved(tmp_path: Path) -> None:
    tree = tmp_path / "one" / "tree"
    tree.mkdir(parents=True)
    tree.chmod(0o555)
    (tmp_path / "two").mkdir()
    with atomic.movable(tree):
        os.rename(tree, tmp_path / "two" / "tree")
    assert (tmp_path / "two" / "tree").stat().st_mode & 0o777 == 0o555


def test_a_private_directory_is_nobody_elses(tmp_path: Path) -> None:
    path = str(tmp_path / "mine")
    assert atomic.make_private(path) == atomic.make_private(path) == path
    assert os.stat(path).st_mode & 0o7777 == 0o700
    os.chmod(path, 0o777)
    with pytest.raises(PermissionError):
        atomic.make_private(path)
    os.rmdir(path)
    os.symlink(tmp_path, path)
    with pytest.raises(PermissionError):
        atomic.make_private(path)
    if os.geteuid() == 0:
        other = tmp_path / "theirs"
        other.mkdir(0o700)
        os.chown(other, 58123, 58123)
        with pytest.raises(PermissionError):
            atomic.make_private(str(other))
