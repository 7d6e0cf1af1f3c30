"""The stack of workspaces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from warpforge.errors import Missing, Unable
from warpforge.workspace.find import find_stack


def workspace(path: Path, *, root: bool = False) -> Path:
    (path / ".warpforge").mkdir(parents=True)
    if root:
        (path / ".warpforge" / "root").touch()
    return path


def test_upward_to_the_first_root(tmp_path: Path) -> None:
    workspace(tmp_path, root=True)
    top = workspace(tmp_path / "a", root=True)
    inner = workspace(top / "b" / "c")
    (inner / "d").mkdir()
    stack = find_stack(inner / "d", tmp_path / "home")
    assert [w.path for w in stack] == [inner, top]
    assert stack.nearest.path == inner and not stack.nearest.is_root
    assert stack.root.path == top and stack.root.is_root and not stack.root.is_home
    assert stack.root.internal == top / ".warpforge"


def test_without_a_root_home_is_the_last_also_before_it_is_made(tmp_path: Path) -> None:
    inner = workspace(tmp_path / "a")
    home = tmp_path / "home"
    stack = find_stack(inner, home)
    assert [w.path for w in stack] == [inner, home]
    assert stack.root.internal == home / ".warphome"
    assert stack.root.is_home and stack.root.is_root
    assert len(find_stack(tmp_path, home)) == 1


def test_neither_root_nor_home(tmp_path: Path) -> None:
    with pytest.raises(Missing) as caught:
        find_stack(workspace(tmp_path / "a"), None)
    assert caught.value.code == "warpforge-error-workspace-missing"


def test_a_file_in_place_of_the_internal_directory(tmp_path: Path) -> None:
    (tmp_path / ".warpforge").touch()
    with pytest.raises(Unable) as caught:
        find_stack(tmp_path, tmp_path)
    assert caught.value.code == "warpforge-error-workspace"


def test_catalogs_of_each_layer(tmp_path: Path) -> None:
    top = workspace(tmp_path, root=True)
    inner = workspace(tmp_path / "a")
    bare = workspace(inner / "b")
    (inner / ".warpforge" / "catalog").mkdir()
    catalogs = top / ".warpforge" / "catalogs"
    for name in ("b", "a", "B", ".git", "z-1"):
        (catalogs / name).mkdir(parents=True)
    (catalogs / "file").touch()
    assert find_stack(bare, None).catalog_layers() == [
        [inner / ".warpforge" / "catalog"],
        [catalogs / name for name in ("B", "a", "b", "z-1")],
    ]
    assert find_stack(bare, None).nearest.catalogs() == []


def test_the_nearest_settings_file(tmp_path: Path) -> None:
    top = workspace(tmp_path, root=True)
    inner = workspace(tmp_path / "a")
    stack = find_stack(inner, None)
    assert stack.find_config("mirroring.json") is None
    for path in (top, inner):
        (path / ".warpforge" / "config").mkdir()
        (path / ".warpforge" / "config" / "mirroring.json").touch()
        assert stack.find_config("mirroring.json") == path / ".warpforge" / "config" / "mirroring.json"


def test_relative_and_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = workspace(tmp_path, root=True)
    deep = tmp_path.joinpath(*"abcdefghij")
    os.makedirs(deep)
    monkeypatch.chdir(deep)
    assert find_stack(Path("."), None).nearest.path == top
