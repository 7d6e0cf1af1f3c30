"""Mirrors in S3: what its answers become."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from support import hostile_http as hostile
from support.hostile_http import Hostile
from support.places import AWS, BUCKET, QUICK, s3_server
from support.world import World

from warpforge.errors import WarpforgeError
from warpforge.mirror.policy import Access
from warpforge.mirror.protocol import Mirror, connect
from warpforge.model.atoms import WarehouseAddr, WareId
from warpforge.model.catalog import PushConfig

WARE = WareId("ztar", "C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko")


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as running:
        yield running


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


def at(endpoint: str, address: str = "s3://wares/x") -> Mirror:
    return connect(WarehouseAddr(address), Access(QUICK, s3_endpoint=endpoint))


def reason(error: pytest.ExceptionInfo[WarpforgeError]) -> str:
    assert error.value.code == "warpforge-error-fetch"
    assert "testing" not in str(error.value.to_serial())
    return error.value.reason


def test_a_web_address_that_is_pushed_to_by_s3(endpoint: str) -> None:
    address = WarehouseAddr(f"ca+{endpoint}/{BUCKET}/web")
    push = PushConfig("s3", {"endpoint": endpoint, "region": "us-east-1", "bucket": BUCKET, "path": "web"})
    mirror = connect(address, Access(QUICK, pushes={address: push}))
    mirror.push(WARE, io.BytesIO(b"data"))
    assert at(endpoint, f"ca+s3://{BUCKET}/web").has(WARE)
    assert mirror.has(WARE)


def test_no_such_bucket(endpoint: str) -> None:
    with pytest.raises(WarpforgeError) as caught:
        at(endpoint, "s3://none/x").push(WARE, io.BytesIO(b"x"))
    assert "NoSuchBucket" in caught.value.message
    assert reason(caught) == "net"


def test_no_credentials(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    for attempt in (lambda: at(endpoint).open(WARE), lambda: at(endpoint).push(WARE, io.BytesIO(b"x"))):
        with pytest.raises(WarpforgeError) as caught:
            attempt()
        assert reason(caught) == "policy"
        assert "AWS_ACCESS_KEY_ID" in caught.value.message


def test_no_bucket() -> None:
    with pytest.raises(WarpforgeError) as caught:
        connect(WarehouseAddr("s3:///x"))
    assert reason(caught) == "policy"


def test_nobody_there() -> None:
    with Hostile() as gone:
        endpoint = gone.url
    for attempt in (lambda: at(endpoint).open(WARE), lambda: at(endpoint).push(WARE, io.BytesIO(b"x"))):
        with pytest.raises(WarpforgeError) as caught:
            attempt()
        assert reason(caught) == "net"


def test_the_signature_is_never_said(server: Hostile) -> None:
    with pytest.raises(WarpforgeError) as caught:
        at(server.url).open(WARE)
    assert "X-Amz-Signature" in server.calls[0].path
    assert "Signature" not in str(caught.value.to_serial())


def test_a_push_that_fails_after_its_body_is_tried_again(server: Hostile) -> None:
    seen: list[bytes] = []

    def put(call: hostile.Call) -> None:
        seen.append(call.method.encode())
        if call.method == "HEAD":
            call.head("200 OK", "Content-Length: 4")
            return
        if call.headers.get("expect"):
            call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(call.headers["content-length"])
        while left > 0:
            left -= len(call.socket.recv(65536))
        call.head("500 Oops" if seen.count(b"PUT") == 1 else "200 OK", "Content-Length: 0", 'ETag: "x-2"')

    server.on("/wares/x", put)
    at(server.url).push(WARE, io.BytesIO(b"data"))
    assert seen == [b"PUT", b"PUT", b"HEAD"]


def test_what_is_not_there_whole_was_not_pushed(server: Hostile) -> None:
    def put(call: hostile.Call) -> None:
        if call.method == "PUT":
            if call.headers.get("expect"):
                call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            call.socket.recv(65536)
        call.head("200 OK", "Content-Length: 0")

    server.on("/wares/x", put)
    with pytest.raises(WarpforgeError) as caught:
        at(server.url).push(WARE, io.BytesIO(b"data"))
    assert reason(caught) == "net"


def test_through_the_command_line(endpoint: str, world: World) -> None:
    world.root_workspace()
    world.write("tree/hello", "hello")
    env = {**AWS, "AWS_ENDPOINT_URL": endpoint}
    ware = world.run("ware", "pack", "--to", f"ca+s3://{BUCKET}/line", "tree", env=env).out.strip()
    assert (
        world.run("--json", "ware", "push", ware, f"ca+s3://{BUCKET}/line", env=env).one("moved")["outcome"] == "there"
    )
    world.root_workspace("second")
    world.run("ware", "fetch", ware, f"ca+s3://{BUCKET}/line", env=env, cwd="second")
    world.run("ware", "unpack", "--path", "out", ware, cwd="second")
