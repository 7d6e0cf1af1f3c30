"""The shelf: trees are used only under a stamp that fits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.actor import shelve_text, ware_of
from support.people import list_people
from support.reachable import reachable

from warpforge.errors import Invalid
from warpforge.model.atoms import WareId
from warpforge.store.store import Store

WARE = ware_of("text")


def test_a_tree_is_found_where_the_original_has_it(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.shelf.find(WARE) is None
        path = shelve_text(store, "text")
        assert path == tmp_path / f"cache/ztar/fileset/{WARE.hash[:3]}/{WARE.hash[3:6]}/{WARE.hash}"
        assert store.shelf.find(WARE) == path
        assert (path / "text").read_text() == "text"
        assert os.listdir(path) == ["text"]
    assert os.listdir(tmp_path / "tmp") == []


def test_a_filtered_tree_has_its_own_place(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        path = shelve_text(store, "text", "mtime=@1,uid=5")
        assert store.shelf.find(WARE) is None
        assert store.shelf.find(WARE, "mtime=@1,uid=5") == path
        assert shelve_text(store, "text") != path


def test_one_without_a_stamp_is_replaced(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        path = shelve_text(store, "text")
        os.unlink(store.layout.stamp(WARE, ""))
        (path / "text").write_text("torn")
        assert store.shelf.find(WARE) is None
        assert shelve_text(store, "text") == path
        assert (path / "text").read_text() == "text"


@pytest.mark.parametrize("change", ["added", "mode", "exchanged", "stamp", "boot"])
def test_one_that_does_not_fit_its_stamp_is_not_used(tmp_path: Path, change: str) -> None:
    with Store(tmp_path) as store:
        path = shelve_text(store, "text")
        stamp = Path(store.layout.stamp(WARE, ""))
        if change == "added":
            (path / "more").touch()
        elif change == "mode":
            path.chmod(0o700)
        elif change == "exchanged":
            path.rename(tmp_path / "old")
            path.mkdir()
        elif change == "stamp":
            stamp.write_bytes(b"")
        else:
            one, _boot, *rest = stamp.read_text().split(" ")
            stamp.write_text(" ".join((one, "00000000-0000-0000-0000-000000000000", *rest)))
        assert store.shelf.find(WARE) is None
        shelve_text(store, "text")
        assert store.shelf.find(WARE) == path


def test_a_single_file_is_a_tree_too(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.shelf.stage() as staged:
            fd = os.open(staged.name, os.O_WRONLY | os.O_CREAT, 0o400, dir_fd=staged.fd)
            os.close(fd)
            path = store.shelf.commit(staged, WARE)
        assert store.shelf.find(WARE) == path
        assert path.is_file()


def test_the_first_one_stays(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        path = shelve_text(store, "text")
        inode = path.stat().st_ino
        assert shelve_text(store, "text") == path
        assert path.stat().st_ino == inode


def test_what_is_not_committed_is_gone(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.shelf.stage() as staged:
            deep = Path(staged.path, "a", "b")
            deep.mkdir(parents=True)
            deep.chmod(0)
        assert os.listdir(store.staging.directory()) == []
        assert store.shelf.find(WARE) is None


def test_dropping_takes_stamp_and_tree(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        path = shelve_text(store, "text")
        store.shelf.drop(WARE)
        assert not path.exists()
        assert store.shelf.find(WARE) is None
        store.shelf.drop(WARE)


def test_names_of_the_file_system_are_no_wares(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        for hash_ in ("-", ".", ".."):
            ware = WareId("tar", hash_)
            assert store.shelf.find(ware) is None
            assert store.warehouse.find(ware) is None
            with store.shelf.stage() as staged, pytest.raises(Invalid):
                store.shelf.commit(staged, ware)
    assert os.listdir(tmp_path) == ["store"]


def shelve_closed(store_path: str) -> str:
    with Store(store_path) as store:
        with store.shelf.stage() as staged:
            os.mkdir(staged.path, 0o555)
            path = store.shelf.commit(staged, WARE)
        assert store.shelf.find(WARE) == path
        mode = oct(path.stat().st_mode)
        store.shelf.drop(WARE)
        return mode


@pytest.mark.parametrize("name", list_people())
def test_a_tree_whose_root_nobody_may_write(name: str) -> None:
    with reachable(name) as (person, own):
        assert person.call(shelve_closed, str(own)) == "0o40555"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a shelf to somebody else")
def test_under_root_the_shelf_belongs_to_who_runs_the_boxes(tmp_path: Path) -> None:
    with Store(tmp_path / "s", owner=(4711, 4712)) as store:
        path = shelve_text(store, "text")
    for directory in (tmp_path / "s/cache", *path.parents[:4]):
        assert (directory.stat().st_uid, directory.stat().st_gid) == (4711, 4712)
    assert (tmp_path / "s").stat().st_uid == 0
