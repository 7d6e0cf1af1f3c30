"""Mirrors on a file system: only files, only copies."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from warpforge.errors import WarpforgeError
from warpforge.mirror.file import FileMirror
from warpforge.model.atoms import WarehouseAddr, WareId

WARE = WareId("ztar", "C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko")


def refuse(path: Path) -> str:
    with pytest.raises(WarpforgeError) as caught:
        FileMirror(WarehouseAddr(f"file://{path}")).open(WARE)
    assert str(path) in caught.value.message
    return caught.value.reason


def test_only_regular_files(tmp_path: Path) -> None:
    """N12."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert [refuse(tmp_path / name) for name in ("link", "dangling", "dir", "fifo")] == ["policy"] * 4
    assert [refuse(tmp_path / name) for name in ("none", "file/below")] == ["not-found"] * 2
    mirror = FileMirror(WarehouseAddr(f"file://{tmp_path}/link"))
    assert not mirror.has(WARE)


def test_a_push_is_a_copy_and_replaces_whole(tmp_path: Path) -> None:
    """N12 N13."""
    (tmp_path / "source").write_bytes(b"new")
    (tmp_path / "one").write_bytes(b"old")
    os.link(tmp_path / "one", tmp_path / "elsewhere")
    with open(tmp_path / "source", "rb") as source:
        FileMirror(WarehouseAddr(f"file://{tmp_path}/one")).push(WARE, source)
    assert (tmp_path / "one").read_bytes() == b"new"
    assert (tmp_path / "elsewhere").read_bytes() == b"old"
    assert (tmp_path / "source").stat().st_nlink == (tmp_path / "one").stat().st_nlink == 1
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "one", "source"]


def test_names_may_be_quoted(tmp_path: Path) -> None:
    (tmp_path / "a b%").write_bytes(b"x")
    with FileMirror(WarehouseAddr(f"file://{tmp_path}/a%20b%25")).open(WARE) as stream:
        assert stream.read() == b"x"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(WarpforgeError) as caught:
        FileMirror(WarehouseAddr(f"ca+file://{tmp_path}/file")).push(WARE, io.BytesIO(b"x"))
    assert caught.value.code == "warpforge-error-store"
