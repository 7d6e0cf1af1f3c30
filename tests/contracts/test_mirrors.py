"""What every kind of mirror must do: one suite, all kinds, each against its real far end."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from support.conformance import CONFORMANCE, needs_conformance
from support.places import (
    AWS,
    MirrorPlace,
    directory_server,
    file_place,
    http_place,
    nginx_server,
    oci_place,
    s3_place,
    s3_server,
)
from support.registry import docker_registry

from warpforge.engine.keep import keep_archive
from warpforge.errors import WarpforgeError
from warpforge.mirror.download import size_of
from warpforge.model.atoms import WareId
from warpforge.store.store import Store

TAR = WareId("tar", "4z9DCTxoKkStqXQRwtf9nimpfQQ36dbndDsAPCQgECfbXt3edanUrsVKCjE9TkX2v9")
ZTAR = WareId("ztar", "C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko")
KINDS = ["file", "ca+file", "http", "ca+http", "nginx", "ca+nginx", "s3", "ca+s3", "oci"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MirrorPlace]:
    kind = str(request.param).removeprefix("ca+")
    many = request.param.startswith("ca+")
    base = tmp_path / "mirror"
    base.mkdir()
    if kind == "file":
        yield file_place(base, many=many)
    elif kind == "http":
        with directory_server(base) as url:
            yield http_place(base, url, many=many)
    elif kind == "nginx":
        with nginx_server(base, tmp_path) as url:
            yield http_place(base, url, many=many)
    elif kind == "oci":
        yield oci_place(request.getfixturevalue("registry"), uuid4().hex)
    else:
        for name, value in AWS.items():
            monkeypatch.setenv(name, value)
        yield s3_place(request.getfixturevalue("s3"), uuid4().hex, many=many)


def read(place: MirrorPlace, ware: WareId) -> bytes:
    with place.mirror.open(ware) as stream:
        return stream.read()


@pytest.mark.parametrize("ware", [TAR, ZTAR], ids=["tar", "ztar"])
@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_what_is_there_comes_whole(place: MirrorPlace, ware: WareId, size: int) -> None:
    data = random.Random(size).randbytes(size)
    place.put(ware, data)
    assert read(place, ware) == data
    assert place.mirror.has(ware)
    with place.mirror.open(ware) as stream:
        assert size_of(stream) == size
        stream.read(1)  # and no more: leaving early is allowed


def test_what_is_missing_is_not_found(place: MirrorPlace) -> None:
    assert not place.mirror.has(ZTAR)
    with pytest.raises(WarpforgeError) as caught:
        read(place, ZTAR)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-fetch", "not-found")
    assert caught.value.exit_status() == 3


def test_others_wares_are_found_in_the_flat_layout(place: MirrorPlace) -> None:
    if not place.address.startswith("ca+"):
        return
    place.put(WareId("tar", ZTAR.hash), b"flat")
    assert place.mirror.has(ZTAR)
    assert read(place, ZTAR) == b"flat"
    place.put(ZTAR, b"its own")
    assert read(place, ZTAR) == b"its own"


@needs_conformance
def test_a_warehouse_of_the_original_is_read_through_it(place: MirrorPlace, tmp_path: Path) -> None:
    """Its gzip tars, where it puts them, become wares of ours under the same ids."""
    (packed,) = (path for path in (CONFORMANCE / "warehouse").rglob(TAR.hash) if path.is_file())
    place.put(TAR, packed.read_bytes())
    with Store(tmp_path / "store") as store:
        with place.mirror.open(TAR) as stream:
            keep_archive(store, stream, "tar", ware=TAR, expect=TAR)
        assert store.warehouse.has(TAR)
        assert store.duals.get(TAR) is not None


def test_what_is_pushed_comes_back(place: MirrorPlace) -> None:
    data = random.Random(7).randbytes(200_000)
    if not place.writable:
        with pytest.raises(WarpforgeError) as caught:
            place.mirror.push(ZTAR, io.BytesIO(data))
        assert caught.value.reason == "policy"
        return
    place.mirror.push(ZTAR, io.BytesIO(b"before"))
    place.mirror.push(ZTAR, io.BytesIO(data))
    assert read(place, ZTAR) == data


class Failing(io.BytesIO):
    """A source that breaks in the middle."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 6 << 20:
            raise WarpforgeError("store", "the disk has gone", reason="io")
        return super().read(min(size or 0, 1 << 20) if size != -1 else 1 << 20)


def test_a_broken_push_leaves_nothing(place: MirrorPlace) -> None:
    if not place.writable:
        return
    with pytest.raises(WarpforgeError):
        place.mirror.push(ZTAR, Failing(bytes(20 << 20)))
    assert not place.mirror.has(ZTAR)
