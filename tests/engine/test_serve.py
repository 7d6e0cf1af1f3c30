"""The server of a warehouse: only wares, only to be read."""

from __future__ import annotations

import http.client
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from warpforge.engine.serve import WarehouseServer, parse_range
from warpforge.engine.shop import Shop, parse_path
from warpforge.fsx.tree import Entry
from warpforge.mirror.protocol import ca_path, connect
from warpforge.model.atoms import WarehouseAddr, WareId
from warpforge.pack.packer import pack, scan
from warpforge.store.store import Store

HASH = "C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / ".warpforge") as made:
        yield made


@pytest.fixture(params=[False, True], ids=["as-stored", "gzip"])
def server(request: pytest.FixtureRequest, store: Store) -> Iterator[WarehouseServer]:
    with WarehouseServer("127.0.0.1", 0, Shop(store, gzip=request.param), lambda _: None) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield running
        running.shutdown()


def keep(store: Store, packtype: str, content: bytes) -> WareId:
    with store.warehouse.stage() as staged:
        entries = [(Entry(b"", "f", 0o644, size=len(content)), io.BytesIO(content))]
        seen = pack(entries, packtype, sink=staged.file)
        staged.commit(seen.ware)
    return seen.ware


def ask(server: WarehouseServer, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=100)
    try:
        line.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = line.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        line.close()


@pytest.mark.parametrize("packtype", ["tar", "ztar"])
def test_a_mirror_of_ours_reads_it(server: WarehouseServer, store: Store, packtype: str) -> None:
    ware = keep(store, packtype, b"hello" * 1000)
    mirror = connect(WarehouseAddr(server.address))
    assert mirror.has(ware)
    with mirror.open(ware) as stream:
        assert scan(stream, packtype).ware == ware
    assert not mirror.has(WareId(packtype, "x" * 44))


def test_tar_wares_are_gzip_when_asked(server: WarehouseServer, store: Store) -> None:
    ware = keep(store, "tar", b"hello")
    gzip = server.shop._forms is not None
    _, first, headers = ask(server, "/" + ca_path(ware))
    assert first.startswith(b"\x1f\x8b" if gzip else b"\x28\xb5\x2f\xfd")
    assert "Content-Encoding" not in headers
    assert ask(server, "/" + ca_path(ware))[1] == first


def test_ranges_and_tags(server: WarehouseServer, store: Store) -> None:
    path = "/" + ca_path(keep(store, "tar", os.urandom(5000)))
    status, whole, headers = ask(server, path)
    tag = headers["ETag"]
    assert (status, headers["Content-Length"]) == (200, str(len(whole)))
    assert tag.startswith('"')
    status, part, headers = ask(server, path, Range="bytes=100-", If_Range=tag)
    assert (status, part, headers["Content-Range"]) == (206, whole[100:], f"bytes 100-{len(whole) - 1}/{len(whole)}")
    assert ask(server, path, Range="bytes=100-", If_Range='"other"')[:2] == (200, whole)
    assert ask(server, path, Range="bytes=5-9")[:2] == (206, whole[5:10])
    assert ask(server, path, Range="bytes=-7")[:2] == (206, whole[-7:])
    assert ask(server, path, Range=f"bytes={len(whole)}-")[0] == 416
    status, nothing, headers = ask(server, path, "HEAD")
    assert (status, nothing, headers["Content-Length"], headers["ETag"]) == (200, b"", str(len(whole)), tag)


def test_only_wares(server: WarehouseServer, store: Store, tmp_path: Path) -> None:
    ware = keep(store, "ztar", b"x")
    good = "/" + ca_path(ware)
    (tmp_path / "secret").write_text("secret")
    planted = tmp_path / ".warpforge" / "warehouse" / ca_path(WareId("tar", "a" * 44))
    planted.parent.mkdir(parents=True)
    planted.symlink_to(tmp_path / "secret")
    bad = [
        "/",
        "",
        "*",
        "/../../secret",
        f"{good}/",
        f"{good}?x",
        good[:-1],
        good.replace("/ztar/", "/tar/"),
        "/%2e%2e",
    ]
    bad += ["/aaa/aaa/" + "a" * 44, "/root", "/-/-/-", "/-/-/..", "/ztar/-/-/.", "/ztar/C4A/4jN/../../x"]
    for path in bad:
        assert ask(server, path)[0] in (404, 400), path
    assert ask(server, good)[0] == 200
    for method in ("PUT", "POST", "DELETE", "OPTIONS"):
        assert ask(server, good, method)[0] == 501


def test_a_damaged_ware_is_not_served_as_gzip(store: Store) -> None:
    ware = keep(store, "tar", b"x" * 9000)
    path = store.warehouse.find(ware)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-40])
    said: list[str] = []
    with WarehouseServer("127.0.0.1", 0, Shop(store, gzip=True), said.append) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        assert ask(running, "/" + ca_path(ware))[0] == 404
        running.shutdown()
    assert os.listdir(store.staging.directory()) == []


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("", (0, 10)),
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("bytes=3-99", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=9-", (9, 10)),
        ("bytes=10-", None),
        ("bytes=-0", None),
        ("bytes=5-3", (0, 10)),
        ("bytes=0-1,3-4", (0, 10)),
        ("bytes=x-", (0, 10)),
        ("rows=1-2", (0, 10)),
    ],
)
def test_ranges(text: str, span: tuple[int, int] | None) -> None:
    assert parse_range(text, 10) == span


def test_paths() -> None:
    assert parse_path(f"/ztar/C4A/4jN/{HASH}") == WareId("ztar", HASH)
    assert parse_path(f"/C4A/4jN/{HASH}") == WareId("tar", HASH)
    assert parse_path(f"/C4A/xxx/{HASH}") is None
