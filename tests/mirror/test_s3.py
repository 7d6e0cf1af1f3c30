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
from warpforge.mirror.download import begin_of
from warpforge.mirror.policy import Access
from warpforge.mirror.protocol import Mirror, Resuming, connect
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
    """N14."""
    with pytest.raises(WarpforgeError) as caught:
        at(server.url).open(WARE)
    assert "X-Amz-Signature" in server.calls[0].path
    assert "Signature" not in str(caught.value.to_serial())


def test_a_push_that_fails_after_its_body_is_tried_again(server: Hostile) -> None:
    """N13."""
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


# N11: what S3 says


def xml(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>x\x1b[31m</Message></Error>'.encode()


def answering(line: str, body: bytes, *headers: str) -> hostile.Behaviour:
    def behaviour(call: hostile.Call) -> None:
        call.head(line, f"Content-Length: {len(body)}", "Content-Type: application/xml", *headers)
        call.send(body)

    return behaviour


@pytest.mark.parametrize(
    ("line", "code", "headers", "said"),
    [
        ("403 Forbidden", "RequestTimeTooSkewed", (), "RequestTimeTooSkewed"),
        ("403 Forbidden", "AccessDenied", (), "AccessDenied"),
        ("301 Moved", "PermanentRedirect", ("x-amz-bucket-region: eu-west-1",), "eu-west-1: set AWS_REGION"),
        ("400 Bad", "AuthorizationHeaderMalformed", ("x-amz-bucket-region: eu-west-1",), "AWS_REGION"),
        ("400 Bad", "x", ("x-amz-bucket-region: \x1b]0;evil",), "400 Bad (x)"),
    ],
)
def test_what_s3_refuses_is_said_and_not_asked_again(
    server: Hostile, line: str, code: str, headers: tuple[str, ...], said: str
) -> None:
    server.otherwise = answering(line, xml(code), *headers)
    with pytest.raises(WarpforgeError) as caught:
        at(server.url).open(WARE)
    assert reason(caught) == "net"
    assert said in caught.value.message and "\x1b" not in caught.value.message
    assert len(server.calls) == 1


def test_slow_down_is_waited_for(server: Hostile) -> None:
    slow = answering("503 Slow Down", xml("SlowDown"))
    server.otherwise = hostile.in_turn(slow, hostile.body(b"data"))
    with at(server.url).open(WARE) as stream:
        assert stream.read() == b"data"


def test_an_error_that_comes_as_a_200_is_no_ware(server: Hostile, world: World) -> None:
    """The body is XML and not the ware: its hash says so, and nothing of it stays."""
    server.otherwise = answering("200 OK", xml("InternalError"))
    world.root_workspace()
    env = {**AWS, "AWS_ENDPOINT_URL": server.url}
    argv = ("--json", "ware", "fetch", str(WARE), "s3://wares/x")
    failed = world.call(*argv, env=env)
    assert failed.exit == 4
    assert failed.error["code"] == "warpforge-error-fetch"
    assert not any(path.is_file() for path in world.path(".warpforge/warehouse").rglob("*"))


def test_the_tag_of_a_large_upload_is_no_digest_and_nobody_minds(endpoint: str) -> None:
    """An object uploaded in parts has an ETag that is no md5; it is whole all the same, and goes on from a mark."""
    data = bytes(range(256)) * (9 << 12)  # more than boto3 sends in one part
    at(endpoint, f"s3://{BUCKET}/parts").push(WARE, io.BytesIO(data))
    mirror = at(endpoint, f"s3://{BUCKET}/parts")
    assert isinstance(mirror, Resuming)
    with mirror.open(WARE) as stream:
        begin = begin_of(stream)
        assert begin is not None and begin.tag.endswith('-2"')
        assert stream.read() == data
    with mirror.open_from(WARE, begin._replace(at=5_000_000)) as stream:
        assert stream.read() == data[5_000_000:]


def test_what_a_killed_push_left_at_the_server_is_ended_by_the_next(endpoint: str) -> None:
    """N13: parts without an end have no name, and cost money."""
    import boto3

    client = boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    begun = client.create_multipart_upload(Bucket=BUCKET, Key="unfinished")["UploadId"]
    other = client.create_multipart_upload(Bucket=BUCKET, Key="unfinished-other")["UploadId"]
    client.upload_part(Bucket=BUCKET, Key="unfinished", UploadId=begun, PartNumber=1, Body=bytes(5 << 20))
    access = Access(QUICK._replace(unfinished=-1.0), s3_endpoint=endpoint)
    mirror = connect(WarehouseAddr(f"s3://{BUCKET}/unfinished"), access)
    assert not mirror.has(WARE)
    mirror.push(WARE, io.BytesIO(bytes(9 << 20)))
    left = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert [upload["UploadId"] for upload in left] == [other]
    assert mirror.has(WARE)
