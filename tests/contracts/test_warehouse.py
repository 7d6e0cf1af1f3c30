"""What every warehouse does: our own, a stand-in, a read-only one with our own behind it, one of the original's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.actor import check, store_text, ware_of
from support.conformance import CONFORMANCE, needs_conformance

from warpforge.errors import Invalid, Missing
from warpforge.model.atoms import WareId
from warpforge.store.store import Store
from warpforge.store.verify import verify

BUSYBOX = WareId.parse("tar:4z9DCTxoKkStqXQRwtf9nimpfQQ36dbndDsAPCQgECfbXt3edanUrsVKCjE9TkX2v9")


class House(NamedTuple):
    """``written``: where wares that are made must come to lie."""

    store: Store
    written: Path


@pytest.fixture(params=["own", "stand-in", "stand-in missing", "read-only"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    own, other = tmp_path / ".warpforge", tmp_path / "other"
    if request.param == "own":
        with Store(own) as store:
            yield House(store, own / "warehouse")
        return
    if request.param != "stand-in missing":
        other.mkdir(0o555 if request.param == "read-only" else 0o755)
    with Store(own, warehouse=other) as store:
        yield House(store, other if request.param == "stand-in" else own / "warehouse")
    assert [name for name in os.listdir(other) if name.startswith(".")] == [] if other.is_dir() else True


def test_a_ware_lies_where_the_original_has_it(house: House) -> None:
    ztar, tar = store_text(house.store, "one"), store_text(house.store, "one", "tar")
    for ware, top in ((ztar, house.written / "ztar"), (tar, house.written)):
        path = top / ware.hash[:3] / ware.hash[3:6] / ware.hash
        assert house.store.warehouse.find(ware) == path
        assert path.stat().st_mode & 0o777 == 0o444
        with house.store.warehouse.open(ware) as file:
            assert file.read() == b"one"


def test_what_is_not_there(house: House) -> None:
    ware = ware_of("nothing")
    assert house.store.warehouse.find(ware) is None
    assert not house.store.warehouse.has(ware)
    with pytest.raises(Missing) as caught:
        house.store.warehouse.open(ware)
    assert caught.value.details["wareId"] == str(ware)


def test_what_is_not_committed_leaves_nothing(house: House) -> None:
    with house.store.warehouse.stage() as staged:
        staged.file.write(b"half")
    with pytest.raises(ZeroDivisionError), house.store.warehouse.stage() as staged:
        staged.file.write(b"half")
        raise ZeroDivisionError
    assert list(house.store.warehouse.wares()) == []
    assert not os.path.exists(staged.path)


def test_the_first_one_stays(house: House) -> None:
    ware = store_text(house.store, "one")
    path = house.store.warehouse.find(ware)
    assert path is not None
    inode = path.stat().st_ino
    assert store_text(house.store, "one") == ware
    assert path.stat().st_ino == inode
    assert len(list(house.store.warehouse.wares())) == 1


def test_staged_bytes_can_be_read_before_they_are_believed(house: House) -> None:
    with house.store.warehouse.stage() as staged:
        staged.file.write(b"some bytes")
        staged.file.seek(5)
        assert staged.file.read() == b"bytes"
        staged.commit(ware_of("some bytes"))
    assert house.store.warehouse.has(ware_of("some bytes"))


def test_names_of_the_file_system_are_no_wares(house: House) -> None:
    for hash_ in ("-", ".", ".."):
        with house.store.warehouse.stage() as staged, pytest.raises(Invalid):
            staged.commit(WareId("tar", hash_))
        assert not house.store.warehouse.has(WareId("tar", hash_))


@pytest.mark.parametrize("hash_", ["a", "abc", "abcd", "ab..", "...", "......", "abc...x", "a" * 128])
def test_odd_hashes_stay_inside(house: House, hash_: str) -> None:
    ware = WareId("ztar", hash_)
    with house.store.warehouse.stage() as staged:
        staged.file.write(b"x")
        path = staged.commit(ware)
    assert path.resolve().is_relative_to((house.written / "ztar").resolve())
    assert list(house.store.warehouse.wares()) == [(ware, str(path))]


@pytest.mark.parametrize("what", ["directory", "symlink", "empty"])
def test_what_is_no_file_is_no_ware_and_makes_way(house: House, what: str) -> None:
    ware = ware_of("one")
    path = house.written / "ztar" / ware.hash[:3] / ware.hash[3:6] / ware.hash
    path.parent.mkdir(parents=True)
    if what == "directory":
        path.mkdir()
        (path / "x").touch()
    elif what == "symlink":
        path.symlink_to("/dev/null")
    else:
        path.touch()
    assert not house.store.warehouse.has(ware)
    store_text(house.store, "one")
    assert house.store.warehouse.has(ware)
    assert len(os.listdir(house.store.layout.quarantine)) == 1
    assert [finding.kind for finding in house.store.findings()] == ["ware"]


def test_a_bad_ware_is_set_aside_and_had_anew(house: House) -> None:
    ware = store_text(house.store, "one")
    path = house.store.warehouse.find(ware)
    assert path is not None
    path.chmod(0o644)
    path.write_text("two")
    assert [finding.code for finding in verify(house.store, check)] == ["ware-mismatch"]
    house.store.warehouse.quarantine(ware, "it holds something else")
    assert not house.store.warehouse.has(ware)
    [finding] = house.store.findings()
    assert Path(finding.path).read_text() == "two"
    store_text(house.store, "one")
    assert verify(house.store, check) == []


def test_a_bad_ware_in_a_read_only_stand_in_is_passed_over(tmp_path: Path) -> None:
    ware = ware_of("one")
    path = tmp_path / "other" / "ztar" / ware.hash[:3] / ware.hash[3:6] / ware.hash
    path.parent.mkdir(parents=True)
    path.write_text("two")
    (tmp_path / "other").chmod(0o555)
    with Store(tmp_path / "own", warehouse=tmp_path / "other") as store:
        assert store.warehouse.find(ware) == path
        store.warehouse.quarantine(ware, "it holds something else")
        assert path.read_text() == "two"
        assert not store.warehouse.has(ware)
        store_text(store, "one")
        with store.warehouse.open(ware) as file:
            assert file.read() == b"one"


def test_the_index_notes_what_was_seen(house: House) -> None:
    ware = store_text(house.store, "one")
    facts = house.store.index.ware(ware)
    assert facts is not None
    assert (facts.packed_bytes, facts.unpacked_bytes, facts.entries) == (3, 3, 1)


@needs_conformance
def test_a_warehouse_of_the_original_is_read_in_place(tmp_path: Path) -> None:
    original = CONFORMANCE / "warehouse"
    before = {path: path.lstat() for path in original.rglob("*")}
    with Store(tmp_path, warehouse=original) as store:
        path = store.warehouse.find(BUSYBOX)
        assert path is not None and path.is_relative_to(original)
        made = store_text(store, "one")
        found = store.warehouse.find(made)
        assert found is not None and found.is_relative_to(tmp_path)
        assert {ware for ware, _ in store.warehouse.wares()} == {BUSYBOX, made}
    assert {path: (s.st_mtime_ns, s.st_ctime_ns) for path, s in before.items()} == {
        path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in original.rglob("*")
    }
