"""What every upstream must do: one suite, all kinds, each against its real far end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.places import QUICK
from support.repositories import Repo, git_daemon, http_repositories

from warpforge.engine.upstream import keep_from
from warpforge.errors import WarpforgeError
from warpforge.mirror.policy import Access
from warpforge.mirror.protocol import Upstream, find_upstream
from warpforge.model.atoms import WarehouseAddr, WareId
from warpforge.pack.limits import DEFAULT
from warpforge.store.store import Store

pytestmark = pytest.mark.both
KINDS = ["git-file", "git-http", "git-daemon"]
ACCESS = Access(QUICK)


class Place(NamedTuple):
    """An upstream, two wares that it has and one that it has not."""

    upstream: Upstream
    wares: tuple[WareId, WareId]
    missing: WareId
    address: WarehouseAddr


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    base = tmp_path / "there"
    repo = Repo(base / "repo")
    wares = WareId("git", repo.commit({"a": "1"})), WareId("git", repo.commit({"a": "2" * 5000}))
    kind = request.param.removeprefix("git-")
    if kind == "file":
        yield make(WarehouseAddr(f"file://{base}/repo"), wares)
    else:
        with git_daemon(base) if kind == "daemon" else http_repositories(base) as url:
            yield make(WarehouseAddr(f"{url}/repo"), wares)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def make(address: WarehouseAddr, wares: tuple[WareId, WareId]) -> Place:
    upstream = find_upstream(address, wares[0].packtype, ACCESS)
    assert upstream is not None
    return Place(upstream, wares, wares[0]._replace(hash="1" * len(wares[0].hash)), address)


def test_it_says_its_name(place: Place) -> None:
    assert place.upstream.name == place.address


def test_it_is_an_upstream_of_one_packtype(place: Place) -> None:
    assert find_upstream(place.address, "ztar", ACCESS) is None
    assert find_upstream(WarehouseAddr(f"ca+{place.address}"), place.wares[0].packtype, ACCESS) is None


def test_what_is_there_becomes_a_ware(place: Place, store: Store) -> None:
    for ware in (*place.wares, place.wares[0]):
        told: list[int] = []
        assert place.upstream.has(ware)
        keep_from(store, ware, place.upstream, lambda done, total: told.append(done), DEFAULT)
        assert store.warehouse.has(ware) and store.duals.get(ware)
        assert told == sorted(told) and told[0] > 0


def test_what_is_missing_is_not_found(place: Place, store: Store) -> None:
    assert not place.upstream.has(place.missing)
    with pytest.raises(WarpforgeError) as caught:
        keep_from(store, place.missing, place.upstream, lambda done, total: None, DEFAULT)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-fetch", "not-found")
    assert not store.has(place.missing)


def test_a_name_that_no_ware_has(place: Place, store: Store) -> None:
    ware = place.missing._replace(hash="-x")
    assert not place.upstream.has(ware)
    with pytest.raises(WarpforgeError):
        keep_from(store, ware, place.upstream, lambda done, total: None, DEFAULT)


def test_what_is_too_large_does_not_come(place: Place, store: Store) -> None:
    upstream = find_upstream(place.address, place.wares[1].packtype, Access(QUICK._replace(largest=1)))
    assert upstream is not None
    with pytest.raises(WarpforgeError) as caught:
        keep_from(store, place.wares[1], upstream, lambda done, total: None, DEFAULT)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-fetch", "size")
    with pytest.raises(WarpforgeError) as caught:
        keep_from(store, place.wares[1], place.upstream, lambda done, total: None, DEFAULT._replace(unpacked=1))
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-ware-limit", "bytes")
    assert not store.has(place.wares[1])
