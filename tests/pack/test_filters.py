"""Filters: rows of defaults, spelling, and what they do to an entry."""

from __future__ import annotations

import os
import random

import pytest
from support.trees import list_entries, random_tree

from warpforge.errors import WarpforgeError
from warpforge.fsx.tree import Entry
from warpforge.pack.filters import EPOCH, INGEST, INPUT, OUTPUT, SCAN, Filters


def entry(mode: int = 0o644, kind: str = "f") -> Entry:
    return Entry(b"a", kind, mode, 5, 6, 7, 8)


@pytest.mark.parametrize(
    ("row", "uid", "mtime", "mode"),
    [(OUTPUT, 0, EPOCH, 0o1666), (INGEST, 0, EPOCH, 0o644), (INPUT, 0, 7, 0o1666), (SCAN, 5, 7, 0o1666)],
)
def test_rows(row: Filters, uid: int, mtime: int, mode: int) -> None:
    found = row.apply(entry(0o1666))
    assert (found.uid, found.mtime, found.mode) == (uid, mtime, mode)
    assert row.key() == ""


@pytest.mark.parametrize("row", [OUTPUT, INGEST, INPUT, SCAN])
@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6000])
def test_every_row_rejects_setid(row: Filters, mode: int) -> None:
    with pytest.raises(WarpforgeError) as caught:
        row.apply(entry(mode))
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-ware-invalid", "metadata")


@pytest.mark.parametrize("kind", ["D", "c"])
def test_devices(kind: str) -> None:
    with pytest.raises(WarpforgeError) as caught:
        OUTPUT.drops(entry(kind=kind))
    assert caught.value.reason == "type"
    assert OUTPUT.parse("dev=ignore").drops(entry(kind=kind))
    assert not OUTPUT.parse("dev=keep").drops(entry(kind=kind))
    with pytest.raises(WarpforgeError):
        OUTPUT.parse("dev=keep").drops(entry(kind="s"))


@pytest.mark.parametrize(
    ("mode", "kind", "wanted"),
    [(0o600, "f", 0o644), (0o700, "f", 0o755), (0o677, "f", 0o644), (0o000, "d", 0o755), (0o777, "L", 0o777)],
)
def test_canonical_modes(mode: int, kind: str, wanted: int) -> None:
    assert INGEST.apply(entry(mode, kind)).mode == wanted


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", ""),
        ("uid=0,gid=0,mtime=@1262304000", ""),
        ("uid=follow", "uid=keep"),
        ("mode=follow,sticky=follow", ""),
        ("mtime=2010-01-01T00:00:00Z", ""),
        ("mtime=2010-01-01T01:00:01+01:00", "mtime=@1262304001"),
        ("mtime=@-5", "mtime=@-5"),
        ("gid=007,uid=4294967295", "uid=4294967295,gid=7"),
        ("uid=mine", f"uid={os.getuid()}" if os.getuid() else ""),
    ],
)
def test_keys_are_canonical(text: str, key: str) -> None:
    filters = OUTPUT.parse(text)
    assert filters.key() == key
    assert OUTPUT.parse(filters.key()) == filters


@pytest.mark.parametrize(
    "text",
    [
        "uid=0,uid=0",
        "uid=1,uid=2",
        "uid",
        "uid=",
        "uid=-1",
        "uid=4294967296",
        "uid=٣",
        "colour=red",
        "setid=maybe",
        "mtime=now",
        "mtime=@",
        "mtime=@1.5",
        "mtime=2010-01-01T00:00:00",
        "mtime=@99999999999999",
        "mode=0644",
        "sticky=reject",
    ],
)
def test_misspelled(text: str) -> None:
    with pytest.raises(WarpforgeError) as caught:
        OUTPUT.parse(text)
    assert caught.value.code == "warpforge-error-invalid-argument"


def test_filters_are_idempotent() -> None:
    for row in (OUTPUT, INGEST, INPUT, SCAN, OUTPUT.parse("sticky=ignore,uid=9,mtime=@1")):
        for seed in range(20):
            for found, _ in list_entries(random_tree(random.Random(seed))):
                once = row.apply(found)
                assert row.apply(once) == once
